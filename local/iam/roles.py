"""Credentials of a role, as an AWS service gets them before it acts in a customer's account."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from local.settings import Settings

_HOURS = 12


class RoleRefusedError(Exception):
    """The role does not exist, or its trust policy does not name the service."""


def assume(role_arn: str, service: str, session: str, keys: Mapping[str, str] | None = None) -> dict[str, str]:
    """Credentials of `role_arn` for the service principal `service`, as AWS_* variables; IAM is enforced on them.

    `keys` are the condition keys that the service fills in for the trust policy (aws:SourceArn, …).
    Raises RoleRefusedError when the trust policy does not allow `service` to assume the role.
    """
    from ministack.core.iam_evaluator import EvalContext, _action_matches, _conditions_met
    from ministack.services import iam, sts

    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, name)
    if role is None:
        raise RoleRefusedError(f"role {role_arn} does not exist")
    context = EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region="",
        service_context={"aws:sourceaccount": account, **{k.lower(): v for k, v in (keys or {}).items()}},
    )
    effects = {
        statement["Effect"]
        for statement in _statements(role["AssumeRolePolicyDocument"])
        if service in _listed(_principals(statement).get("Service"))
        and _action_matches(context.action, _listed(statement.get("Action")), _listed(statement.get("NotAction")))
        and _conditions_met(statement.get("Condition", {}), context)
    }
    if effects != {"Allow"}:
        raise RoleRefusedError(f"{service} is not allowed to assume {role_arn}: see its trust policy")
    access_key, secret, token = iam._gen_session_access_key(), iam._gen_secret(), iam._gen_session_token()
    sts.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session[:64]}",
            "UserId": f"{role['RoleId']}:{session[:64]}",
            "AccountId": account,
            "PrincipalType": "AssumedRole",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + _HOURS * 3600,
        },
    )
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def allowed(
    access_key: str,
    action: str,
    resource_arn: str,
    policy: str = "",
    owner: str = "",
    keys: Mapping[str, str] | None = None,
    account: str = "",
) -> bool:
    """Whether IAM lets the holder of an access key do this, here where no signed request carries the question.

    `policy` is the resource's own policy and `owner` its account: across accounts both sides must allow.
    `keys` are the condition keys of this action, such as iam:PassedToService. `account` is where a user's key is
    looked up, the owner's unless it is given; a session knows its own.
    """
    from ministack.core.iam_evaluator import (
        AuthError,
        EvalContext,
        combine_resource_policy,
        evaluate,
        resolve_principal,
    )

    # A root key is the account's number; every other key knows its own account.
    principal = resolve_principal(access_key, account or owner or access_key)
    if isinstance(principal, AuthError):
        return False
    context = EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource_arn,
        region=(keys or {}).get("aws:RequestedRegion", ""),
        principal_keys=principal.keys,
        service_context={name.lower(): value for name, value in (keys or {}).items()},
    )
    if principal.policies is None:
        return not owner or principal.account == owner
    result = evaluate(context, principal.policies, *principal.limits)
    if owner:
        result = combine_resource_policy(result, context, policy, owner, limits=principal.limits)
    return bool(result.decision == "Allow")


def environment(credentials: Mapping[str, str], region: str, settings: Settings) -> dict[str, str]:
    """The variables with which an SDK in a process of ours reaches this embedded AWS as `credentials`."""
    return {
        **credentials,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_CA_BUNDLE": str(settings.ca_bundle),
    }


def client(service: str, credentials: Mapping[str, str], region: str, settings: Settings) -> Any:
    """A boto3 client of this embedded AWS that acts with `credentials`."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session(
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=credentials["AWS_SESSION_TOKEN"],
        region_name=region,
    ).client(
        service,
        endpoint_url=settings.endpoint,
        verify=str(settings.ca_bundle),
        config=Config(proxies={}, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def _statements(document: str | dict[str, Any]) -> list[dict[str, Any]]:
    parsed = json.loads(document) if isinstance(document, str) else document
    statements = parsed.get("Statement", [])
    return [statements] if isinstance(statements, dict) else list(statements)


def _principals(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    principal = statement.get("Principal", {})
    return principal if isinstance(principal, dict) else {}


def _listed(value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value
