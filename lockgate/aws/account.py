"""What an account has, for `lockgate doctor`: read-only."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code
from lockgate.doctor import ISSUER, LINKED_ROLES, QUALIFIER, AccountState, Certificate, Wanted

ABSENT = ("ParameterNotFound", "NoSuchEntity", "ResourceNotFoundException")
DELIVERY_STACK = "lockgate-tools-delivery"


def look(client: Callable[[str], Any], wanted: Wanted) -> AccountState:
    """`client` makes clients of the account. Raises ClientError where the caller may not look."""
    iam = client("iam")
    providers = _providers(iam)
    account = str(client("sts").get_caller_identity()["Account"])
    suffix = f"{account}-{wanted.region}"
    return AccountState(
        account=account,
        bootstrap=_bootstrap(client("ssm")),
        trusted=_trusted(iam, f"cdk-{QUALIFIER}-deploy-role-{suffix}"),
        execution_policies=_policies(iam, f"cdk-{QUALIFIER}-cfn-exec-role-{suffix}"),
        providers=providers,
        provider_is_ours=bool(providers) and _has_stack(client("cloudformation"), DELIVERY_STACK),
        scan_type=str(client("ecr").get_registry_scanning_configuration()["scanningConfiguration"]["scanType"]),
        certificate=_certificate(client("acm"), wanted.certificate_arn),
        linked_services=[service for service in LINKED_ROLES if _is_linked(iam, service)],
        owners=stack_owners(client("cloudformation")),
        concurrency=int(client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]),
    )


def stack_owners(cloudformation: Any) -> dict[str, str]:
    """Each stack whose name begins as Lockgate's do, with the id of the repository that made it, "" where none is."""
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    return {
        str(stack["StackName"]): names.owner_of(stack.get("Description", ""))
        for page in pages
        for stack in page["Stacks"]
        if stack["StackName"].startswith(names.STACKS)
    }


def _absent_is_none(call: Callable[..., Any], **request: Any) -> Any:
    try:
        return call(**request)
    except ClientError as error:
        if code(error) not in ABSENT:
            raise
        return None


def _bootstrap(ssm: Any) -> int | None:
    found = _absent_is_none(ssm.get_parameter, Name=f"/cdk-bootstrap/{QUALIFIER}/version")
    return int(found["Parameter"]["Value"]) if found else None


def _trusted(iam: Any, role: str) -> list[str]:
    """The accounts that a role's trust policy names."""
    found = _absent_is_none(iam.get_role, RoleName=role)
    if not found:
        return []
    document = found["Role"]["AssumeRolePolicyDocument"]
    statements = (json.loads(unquote(document)) if isinstance(document, str) else document)["Statement"]
    named = [statement.get("Principal", {}).get("AWS", []) for statement in statements]
    arns = [arn for each in named for arn in ([each] if isinstance(each, str) else each)]
    return sorted({arn.split(":")[4] if arn.startswith("arn:") else arn for arn in arns})


def _policies(iam: Any, role: str) -> list[str]:
    found = _absent_is_none(iam.list_attached_role_policies, RoleName=role)
    return [policy["PolicyName"] for policy in found["AttachedPolicies"]] if found else []


def _providers(iam: Any) -> dict[str, list[str]]:
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    arns = [entry["Arn"] for entry in listed if entry["Arn"].endswith(f"/{ISSUER}")]
    return {arn: iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] for arn in arns}


def _is_linked(iam: Any, service: str) -> bool:
    return bool(iam.list_roles(PathPrefix=f"/aws-service-role/{service}/")["Roles"])


def _has_stack(cloudformation: Any, name: str) -> bool:
    try:
        return bool(cloudformation.describe_stacks(StackName=name)["Stacks"])
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return False


def _certificate(acm: Any, arn: str | None) -> Certificate | None:
    found = _absent_is_none(acm.describe_certificate, CertificateArn=arn) if arn else None
    if not found:
        return None
    end = found["Certificate"].get("NotAfter")
    days = (end - datetime.now(UTC)).days if end else None
    return Certificate(found["Certificate"]["Status"], days)
