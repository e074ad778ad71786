"""What whoever starts a build must not choose."""

from __future__ import annotations

from aws_cdk import aws_iam as iam

# The commands, the identity and the machine image.
FIXED = ("codebuild:source.buildspec", "codebuild:serviceRole", "codebuild:environment.image")


def refuse_overrides(role: iam.Role, project_arn: str) -> None:
    """No build of the project by this role with something else than what the project's stack says."""
    for key in FIXED:
        role.add_to_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=["codebuild:StartBuild"],
                resources=[project_arn],
                conditions={"Null": {key: "false"}},
            )
        )
