"""What `lockgate bootstrap` lets CloudFormation do, and what it lets no role do, decided on the generated policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from local.cloudformation.stack_roles import CALLS
from lockgate.configuration.project import Configuration, read_configuration
from lockgate.templates import rights

ACCOUNTS = {
    "tools": "111111111111",
    "dev": "222222222222",
    "staging": "333333333333",
    "prod": "444444444444",
    "anchor": "555555555555",
}
REGION = "us-east-1"


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory, make_project: Callable[..., Path]) -> Configuration:
    return read_configuration(make_project(tmp_path_factory.mktemp("configuration") / "root"))


@pytest.fixture(scope="module")
def documents(synthesized: Any, configuration: Configuration) -> dict[str, dict[str, Any]]:
    """By account's name, its policy documents by their names."""
    return {name: rights.documents(configuration, synthesized.directory, account) for name, account in ACCOUNTS.items()}


def statements(documents: dict[str, Any], environment: str, prefix: str) -> list[dict[str, Any]]:
    found = [d for name, d in documents[environment].items() if name.startswith(prefix)]
    assert found
    return [statement for document in found for statement in document["Statement"]]


def allowed(found: list[dict[str, Any]], environment: str, action: str, arn: str, **keys: str) -> bool:
    account = ACCOUNTS[environment]
    context = EvalContext(
        principal_arn=f"arn:aws:iam::{account}:role/any",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=arn,
        region=REGION,
        service_context={f"iam:{name.lower()}": value for name, value in keys.items()},
    )
    return bool(evaluate(context, [parse_policy_document(rights.document(found))]).decision == "Allow")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("environment", ACCOUNTS)
def test_every_document_fits_a_managed_policy(documents: dict[str, Any], environment: str) -> None:
    for name, document in documents[environment].items():
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144, name
    assert len(documents[environment]) <= 10


@pytest.mark.parametrize("environment", ACCOUNTS)
def test_cloudformation_is_no_administrator(documents: dict[str, Any], environment: str) -> None:
    execution = statements(documents, environment, "lockgate-execution")
    everywhere = set()
    for statement in execution:
        assert not [action for action in listed(statement["Action"]) if "*" in action]
        if statement["Resource"] == "*":
            everywhere |= {action.partition(":")[0] for action in listed(statement["Action"])}
    # Networks, load balancers, keys and scaling have ids that AWS makes; the rest are calls without a resource.
    assert everywhere <= {
        "application-autoscaling",
        "cloudwatch",
        "ec2",
        "ecs",
        "elasticloadbalancing",
        "kms",
        "lambda",
        "logs",
        "sns",
    }


@pytest.mark.parametrize("environment", ACCOUNTS)
def test_cloudformation_makes_the_resources_of_the_templates(
    synthesized: Any, documents: dict[str, Any], environment: str
) -> None:
    execution = statements(documents, environment, "lockgate-execution")
    account, asked = ACCOUNTS[environment], 0
    for name, resource in synthesized.resources("", f"lockgate-{environment}"):
        call = CALLS.get(resource["Type"])
        if call is None:
            continue
        stack, _, logical_id = name.partition("/")
        properties = resource["Properties"]
        named = properties.get(call.named) or f"{stack}-{logical_id}-0123456789AB"
        arn = "*" if call.arn == "*" else "arn:aws:" + call.arn.format(account=account, region=REGION, name=named)
        keys = {}
        if "PermissionsBoundary" in properties:
            keys["PermissionsBoundary"] = properties["PermissionsBoundary"]
        assert allowed(execution, environment, call.create, arn, **keys), (name, call.create, arn)
        assert allowed(execution, environment, call.update, arn, **keys), (name, call.update, arn)
        asked += 1
    assert asked > (20 if environment != "anchor" else 1)


def refused(environment: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    account = ACCOUNTS[environment]
    role = f"arn:aws:iam::{account}:role"
    boundary = {"PermissionsBoundary": f"arn:aws:iam::{account}:policy/lockgate-{environment}-boundary"}
    yield "iam:CreateRole", f"{role}/lockgate-new", {}
    yield "iam:CreateRole", f"{role}/lockgate-new", {"PermissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess"}
    yield "iam:CreateRole", f"{role}/other", boundary
    yield "iam:PutRolePolicy", f"{role}/lockgate-gate", {}
    yield "iam:PutRolePolicy", f"{role}/cdk-hnb659fds-cfn-exec-role-{account}-{REGION}", boundary
    yield "iam:AttachRolePolicy", f"{role}/lockgate-gate", boundary
    yield "iam:DeleteRolePermissionsBoundary", f"{role}/lockgate-gate", boundary
    yield "iam:CreatePolicyVersion", f"arn:aws:iam::{account}:policy/lockgate-{environment}-boundary", {}
    yield "iam:CreateUser", f"arn:aws:iam::{account}:user/lockgate-new", {}
    yield "iam:PassRole", f"{role}/lockgate-gate", {"PassedToService": "ec2.amazonaws.com"}
    yield "iam:PassRole", f"{role}/administrator", {"PassedToService": "lambda.amazonaws.com"}
    yield "sts:AssumeRole", f"{role}/lockgate-gate", {}
    yield "s3:GetObject", f"arn:aws:s3:::lockgate-labels-{account}-{REGION}/x", {}
    yield "s3:PutBucketPolicy", "arn:aws:s3:::somebody-elses", {}
    yield "kms:Decrypt", f"arn:aws:kms:{REGION}:{account}:key/1", {}
    yield "lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{account}:function:billing", {}
    yield "organizations:LeaveOrganization", "*", {}
    yield "dynamodb:DeleteTable", f"arn:aws:dynamodb:{REGION}:{account}:table/lockgate-x", {}


@pytest.mark.parametrize("environment", ACCOUNTS)
def test_cloudformation_gains_no_right_and_touches_nothing_of_others(
    documents: dict[str, Any], environment: str
) -> None:
    execution = statements(documents, environment, "lockgate-execution")
    for action, arn, keys in refused(environment):
        assert not allowed(execution, environment, action, arn, **keys), (action, arn, keys)


@pytest.mark.parametrize("environment", ACCOUNTS)
def test_the_boundary_leaves_every_role_what_its_policy_gives(
    synthesized: Any, documents: dict[str, Any], environment: str
) -> None:
    boundary = statements(documents, environment, f"lockgate-{environment}-boundary")
    for name, statement in synthesized.statements(f"lockgate-{environment}-"):
        if statement["Effect"] != "Allow":
            continue
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                arn = resource if isinstance(resource, str) else f"arn:aws:iam:::role/lockgate-{environment}-role"
                assert allowed(boundary, environment, action, arn), (name, action, arn)


@pytest.mark.parametrize("environment", ACCOUNTS)
def test_no_role_can_write_iam_or_change_who_may_do_what(documents: dict[str, Any], environment: str) -> None:
    boundary = statements(documents, environment, f"lockgate-{environment}-boundary")
    role = f"arn:aws:iam::{ACCOUNTS[environment]}:role/lockgate-gate"
    for verb in ("CreateRole", "PutRolePolicy", "AttachRolePolicy", "UpdateAssumeRolePolicy", "CreateUser"):
        assert not allowed(boundary, environment, f"iam:{verb}", role)
    for action in ("s3:PutBucketPolicy", "s3:BypassGovernanceRetention", "kms:PutKeyPolicy", "ecr:SetRepositoryPolicy"):
        assert not allowed(boundary, environment, action, "*")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_no_role_of_an_environment_can_touch_another(documents: dict[str, Any], environment: str) -> None:
    boundary = statements(documents, environment, f"lockgate-{environment}-boundary")
    for other, account in ACCOUNTS.items():
        reached = allowed(boundary, environment, "ecs:UpdateService", f"arn:aws:ecs:{REGION}:{account}:service/x/y")
        assert reached == (other in (environment, "tools"))
    assert not allowed(
        boundary, environment, "sts:AssumeRole", f"arn:aws:iam::{account}:role/lockgate-prod-operator"
    ) or (environment == "prod")
    deploying = f"arn:aws:iam::{ACCOUNTS[environment]}:role/cdk-hnb659fds-deploy-role-x"
    assert not allowed(boundary, environment, "sts:AssumeRole", deploying)


def test_the_tools_account_reaches_an_environment_only_by_taking_a_role(documents: dict[str, Any]) -> None:
    boundary = statements(documents, "tools", "lockgate-tools-boundary")
    for account in ("222222222222", "333333333333", "444444444444"):
        assert allowed(boundary, "tools", "sts:AssumeRole", f"arn:aws:iam::{account}:role/lockgate-prod-promote")
        assert not allowed(boundary, "tools", "sts:AssumeRole", f"arn:aws:iam::{account}:role/administrator")
        assert not allowed(boundary, "tools", "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{account}:function:x")


def test_environments_of_one_account_share_its_execution_and_have_a_boundary_each(
    synthesized: Any, configuration: Configuration
) -> None:
    import dataclasses

    dev, staging, prod = configuration.environments
    together = dataclasses.replace(
        configuration, environments=(dev, dataclasses.replace(staging, account=dev.account), prod)
    )
    found = rights.documents(together, synthesized.directory, dev.account)
    assert {"lockgate-dev-boundary", "lockgate-staging-boundary"} < set(found)
    denied = found["lockgate-dev-boundary"]["Statement"][-1]["Condition"]["StringEquals"]["aws:ResourceAccount"]
    assert denied == [prod.account, "555555555555"]
