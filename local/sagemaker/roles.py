"""Roles as SageMaker takes them on: only those that trust it, and what their policies let them do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

from local.sagemaker.contract import invalid
from local.sagemaker.host import Credentials

SERVICE = "sagemaker.amazonaws.com"
_SESSION = "SageMaker"
_HOURS = 12


def assume(role_arn: str) -> Credentials:
    """Credentials of the role for SageMaker as its principal.

    Raises ValidationException when the role does not exist in this account or does not trust SageMaker.
    """
    require_trust(role_arn)
    account, role = get_account_id(), _role(role_arn)
    principal = f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{_SESSION}"
    credentials = Credentials(
        access_key=iam._gen_session_access_key(),
        secret_key=iam._gen_secret(),
        session_token=iam._gen_session_token(),
        principal=principal,
        role=role_arn,
        account=account,
        region=get_region(),
    )
    session = {
        "Arn": principal,
        "UserId": f"{role['RoleId']}:{_SESSION}",
        "SecretAccessKey": credentials.secret_key,
        "SessionToken": credentials.session_token,
        "Expiration": time.time() + _HOURS * 3600,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
    }
    sts.register_session(credentials.access_key, session)
    return credentials


def require_trust(role_arn: str) -> None:
    role = _role(role_arn)
    if not role or not _trusts(role["AssumeRolePolicyDocument"], role_arn):
        raise invalid(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{SERVICE}' to assume the role."
        )


def refusal(access_key: str, action: str, resource: str, context: Mapping[str, Any] | None = None) -> str | None:
    """AWS's words for why the key's owner may not do `action` on `resource`; None if it may."""
    service = action.partition(":")[0]
    denied = iam_evaluator.enforce(
        access_key, action, service, get_region(), resource_arn=resource, service_context=dict(context or {})
    )
    if denied is None:
        return None
    if isinstance(denied, iam_evaluator.AuthError):
        return str(denied.message)
    return str(identity_denial_message(action, denied.principal_arn, resource, denied.decision == "Deny"))


def pass_refusal(access_key: str, role_arn: str) -> str | None:
    """AWS's words for why the key's owner may not hand `role_arn` to SageMaker; None if it may."""
    return refusal(access_key, "iam:PassRole", role_arn, {"iam:PassedToService": SERVICE})


def _role(role_arn: str) -> dict[str, Any]:
    name = role_arn.rpartition("/")[2]
    role: dict[str, Any] = iam._roles.get(name) or {}
    return role if role.get("Arn") == role_arn else {}


def _trusts(document: str | dict[str, Any], role_arn: str) -> bool:
    """Whether a trust policy lets SageMaker in. ministack's own check takes any service for the account's root."""
    trust = json.loads(document) if isinstance(document, str) else document
    statements = trust.get("Statement", [])
    account = get_account_id()
    context = iam_evaluator.EvalContext(
        principal_arn=SERVICE,
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context={"aws:sourceaccount": account},
    )
    effects = [  # of the statements that apply
        statement["Effect"]
        for statement in ([statements] if isinstance(statements, dict) else statements)
        if iam_evaluator._service_principal_matches(statement.get("Principal"), SERVICE)
        and iam_evaluator._action_matches(
            "sts:AssumeRole", _listed(statement, "Action"), _listed(statement, "NotAction")
        )
        and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
    ]
    return "Allow" in effects and "Deny" not in effects


def _listed(statement: Mapping[str, Any], name: str) -> list[str]:
    value = statement.get(name, [])
    return [value] if isinstance(value, str) else list(value)
