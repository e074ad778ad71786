"""The one way to let a role do something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_iam as iam

from lockgate_constructs.acknowledgement import acknowledge

EVERY_MODEL = "A policy's size is limited, so it names the models by what their names begin with and does not grow."


def allow(
    role: iam.Role,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    because: str = "",
    conditions: Mapping[str, Mapping[str, str | list[str]]] | None = None,
    tokens: Mapping[str, str] | None = None,
) -> None:
    """Let `role` do exact actions on resources.

    because: why a resource has a wildcard; it answers cdk-nag's finding about it. Raises ValueError where one is
    missing, or given without need.
    tokens: what cdk-nag calls a token beside a wildcard, such as <LogicalId.Attribute>.
    """
    wild = [resource for resource in resources if "*" in resource]
    if bool(wild) != bool(because):
        raise ValueError(f"{role.node.path}: {', '.join(actions)} on {', '.join(resources)}: found because={because!r}")
    role.add_to_policy(
        iam.PolicyStatement(
            actions=list(actions), resources=list(resources), conditions=dict(conditions) if conditions else None
        )
    )
    if wild:
        for token, said in (tokens or {}).items():
            wild = [resource.replace(token, said) for resource in wild]
        acknowledge(role, because, *(f"AwsSolutions-IAM5[Resource::{resource}]" for resource in wild))


def pass_role(role: iam.Role, passed: Sequence[str], service: str) -> None:
    """Let `role` hand exactly these roles (ARNs) to one service."""
    allow(role, ["iam:PassRole"], passed, conditions={"StringEquals": {"iam:PassedToService": service}})
