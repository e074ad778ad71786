"""What a role may do, as a part of the role."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from constructs import IConstruct

# CDK's own names differ: CloudFormation takes the policy of that name away after it has put this one into the role.
NAME = "own"


def inline_policies(scope: IConstruct) -> None:
    """Write the policy of each role in `scope` into the role, where CDK keeps a resource beside it.

    A role and its rights are one thing: nothing uses the role before it has them, and no rights are left where their
    role is gone. Call it when all rights are granted.
    """
    for role in scope.node.find_all():
        if not isinstance(role, iam.Role):
            continue
        policy, resource = role.node.try_find_child("DefaultPolicy"), role.node.default_child
        if isinstance(policy, iam.Policy) and isinstance(resource, iam.CfnRole):
            resource.policies = [
                iam.CfnRole.PolicyProperty(policy_name=NAME, policy_document=policy.document),
            ]
            role.node.try_remove_child("DefaultPolicy")
