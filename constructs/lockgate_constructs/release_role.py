"""The narrow role with which CloudFormation changes release stacks during a promotion."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.model_service import ServiceRoles

SERVICE_LINKED = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
}


class ReleaseRole(Construct):
    """May do what the resources of a release stack need, on those of `stacks` only, and pass their three roles.

    stacks: names of the release stacks, which are also the families of their task definitions.
    services: names of the ECS services in `cluster_name`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role_name: str,
        stacks: Sequence[str],
        cluster_name: str,
        services: Sequence[str],
        roles: ServiceRoles,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description="CloudFormation changes release stacks with it.",
            assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"),
        )

        def arns(service: str, resource: str, found: Sequence[str], *, colon: bool = False) -> list[str]:
            form = ArnFormat.COLON_RESOURCE_NAME if colon else ArnFormat.SLASH_RESOURCE_NAME
            return [
                stack.format_arn(service=service, resource=resource, resource_name=name, arn_format=form)
                for name in found
            ]

        self._allow(
            [
                f"ecs:{action}"
                for action in (
                    "CreateService",
                    "DeleteService",
                    "DescribeServices",
                    "ListServiceDeployments",
                    "TagResource",
                    "UntagResource",
                    "UpdateService",
                )
            ],
            arns("ecs", "service", [f"{cluster_name}/{name}" for name in services]),
        )
        self._allow(
            ["ecs:DescribeServiceDeployments", "ecs:StopServiceDeployment"],
            arns("ecs", "service-deployment", [f"{cluster_name}/{name}/*" for name in services]),
        )
        self._allow(
            ["ecs:RegisterTaskDefinition", "ecs:TagResource"],
            arns("ecs", "task-definition", [f"{name}:*" for name in stacks]),
        )
        self._allow(["ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition"], ["*"])
        self._allow(
            [
                f"application-autoscaling:{action}"
                for action in (
                    "DeleteScalingPolicy",
                    "DeregisterScalableTarget",
                    "ListTagsForResource",
                    "PutScalingPolicy",
                    "RegisterScalableTarget",
                    "TagResource",
                )
            ],
            arns("application-autoscaling", "scalable-target", ["*"]),
        )
        self._allow(
            ["application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies"], ["*"]
        )
        alarms = [f"{name}-*" for name in stacks]
        scaling = [f"TargetTracking-service/{cluster_name}/{name}-*" for name in services]
        self._allow(
            ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"],
            arns("cloudwatch", "alarm", [*alarms, *scaling], colon=True),
        )
        self._pass([roles.task, roles.execution], "ecs-tasks.amazonaws.com")
        self._pass([roles.infrastructure], "ecs.amazonaws.com")
        for service, name in SERVICE_LINKED.items():
            self._allow(
                ["iam:CreateServiceLinkedRole"],
                [f"arn:{stack.partition}:iam::{stack.account}:role/aws-service-role/{service}/{name}"],
                {"StringEquals": {"iam:AWSServiceName": service}},
            )
        acknowledge(
            self.role,
            "These actions on task definitions and scaling have no resource to name.",
            "AwsSolutions-IAM5[Resource::*]",
        )

    def _allow(
        self, actions: list[str], resources: list[str], conditions: dict[str, dict[str, str]] | None = None
    ) -> None:
        self.role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions))

    def _pass(self, roles: Sequence[iam.IRole], service: str) -> None:
        self._allow(
            ["iam:PassRole"],
            [role.role_arn for role in roles],
            {"StringEquals": {"iam:PassedToService": service}},
        )
