"""Roles as SageMaker takes them on: only those that trust it, and what their policies let them do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id, get_region

from local.iam import roles
from local.sagemaker.contract import invalid
from local.sagemaker.host import Credentials

SERVICE = "sagemaker.amazonaws.com"


def assume(role_arn: str) -> Credentials:
    """Credentials of the role for SageMaker as its principal.

    Raises ValidationException when the role does not exist in this account or does not trust SageMaker.
    """
    refused = invalid(
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
        f"'{SERVICE}' to assume the role."
    )
    if not role_arn.startswith(f"arn:aws:iam::{get_account_id()}:role/"):
        raise refused
    try:
        environment = roles.assume(role_arn, SERVICE, "SageMaker")
    except roles.RoleRefusedError as error:
        raise refused from error
    return Credentials(environment=environment, role=role_arn, region=get_region())


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
