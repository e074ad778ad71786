"""AssumeRoleWithWebIdentity as AWS does it: the provider exists, the audience is one of its clients', the signature
is the issuer's, and every claim that AWS makes a condition key of is there for the trust policy.

Only the stand-in for GitHub (local.github) can sign; a token of any other issuer is refused.
"""

from __future__ import annotations

from typing import Any

from local import github
from local.seams import rebind
from local.settings import Settings

# Claims that AWS offers as condition keys for this issuer; others cannot be trusted on.
_PROVIDER_CLAIMS = ("actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref", "repository")
_CLAIMS = frozenset({*_PROVIDER_CLAIMS, "repository_id", "workflow", "aud", "sub"})


def install(settings: Settings) -> None:
    """Replace the emulator's check. `settings` is not needed; every extension has this signature."""
    rebind("services.sts._web_identity_trust_denied", _denied)


def _denied(role_arn: str, params: dict[str, Any], use_json: bool) -> Any:
    """AWS's error for a token that may not assume the role, or None."""
    from ministack.core.iam_evaluator import EvalContext, evaluate_trust_policy
    from ministack.core.responses import error_response_json, get_region
    from ministack.services import iam

    def refuse(code: str, message: str, status: int = 400) -> Any:
        if use_json:
            return error_response_json(code, message, status)
        return iam._error(status, code, message, ns="sts")

    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    host = github.ISSUER.removeprefix("https://")
    provider_arn = f"arn:aws:iam::{account}:oidc-provider/{host}"
    provider = iam._oidc_providers.get_scoped(account, None, provider_arn)
    try:
        claims = github.issuer().claims(iam._p(params, "WebIdentityToken"))
    except github.ExpiredTokenError as error:
        return refuse("ExpiredTokenException", str(error))
    except ValueError as error:
        return refuse("InvalidIdentityToken", str(error))
    if provider is None:
        return refuse("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {github.ISSUER}")
    if claims["aud"] not in provider["ClientIDList"]:
        return refuse("InvalidIdentityToken", "Incorrect token audience")
    role = iam._roles.get_scoped(account, None, name)
    context = EvalContext(
        principal_arn=provider_arn,
        principal_type="WebIdentityUser",
        principal_account=account,
        action="sts:AssumeRoleWithWebIdentity",
        resource_arn=role_arn,
        region=get_region(),
        service_context={
            **{f"{host}:{claim}": claims[claim] for claim in _CLAIMS & claims.keys()},
            "sts:rolesessionname": iam._p(params, "RoleSessionName"),
        },
    )
    if role is None or not evaluate_trust_policy(role["AssumeRolePolicyDocument"], provider_arn, context):
        return refuse("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
    return None
