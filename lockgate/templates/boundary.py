"""What no role of a stage can do more than, whatever its own policy says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lockgate.templates.execution_rights import Statement, Template
from lockgate.templates.grave_actions import NOT_AT_RUN_TIME


def statements(
    templates: Sequence[Template], environment: str, others: set[str], kept: Sequence[str]
) -> list[Statement]:
    """No IAM, nothing that changes who may do what, nothing in `others`, the accounts of other environments.

    kept: where the ledger's heads are kept, wherever that is; the tools account alone adds to it.
    Each role's own policy is exact; this holds even where one of them is not.
    """
    used = {action for template in templates for action in _actions(template)}
    services = sorted({action.partition(":")[0] for action in used} - {"iam", "sts"})
    taken = ["arn:aws:iam::*:role/lockgate-*"]
    if environment == "tools":  # the roles that deploy, for workflow runs
        taken += [f"arn:aws:iam::*:role/cdk-hnb659fds-{purpose}-role-*" for purpose in ("deploy", "file-publishing")]
    every = [f"{service}:*" for service in services]
    found: list[Statement] = [{"Effect": "Allow", "Action": every, "Resource": "*"}] if every else []
    found += [
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/lockgate-*"},
        {
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": "arn:aws:iam::*:role/aws-service-role/*",
        },
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": taken},
        {"Effect": "Deny", "Action": list(NOT_AT_RUN_TIME), "Resource": "*"},
    ]
    if others:
        where = {"StringEquals": {"aws:ResourceAccount": sorted(others)}}
        denied: Statement = {"Action": "*", "Resource": "*"}
        if environment == "tools":  # it reaches an environment by taking a role there, and keeps its heads
            denied = {"NotAction": "sts:AssumeRole", "NotResource": list(kept)}
        found.append({"Effect": "Deny", **denied, "Condition": where})
    return found


def _actions(template: Template) -> Iterator[str]:
    """Actions that identities' policies in a template allow."""
    for resource in template.get("Resources", {}).values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    yield from [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
