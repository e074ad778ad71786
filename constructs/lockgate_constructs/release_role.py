"""The narrow role with which CloudFormation changes release stacks during a promotion."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from lockgate_constructs.model_service import ServiceRoles
from lockgate_constructs.permission import EVERY_MODEL, allow, pass_role

SERVICE_ACTIONS = (
    "CreateService",
    "DeleteService",
    "DescribeServices",
    "ListServiceDeployments",
    "TagResource",
    "UntagResource",
    "UpdateService",
)
SCALING_ACTIONS = (
    "DeleteScalingPolicy",
    "DeregisterScalableTarget",
    "ListTagsForResource",
    "PutScalingPolicy",
    "RegisterScalableTarget",
    "TagResource",
)
SERVICE_LINKED = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
}


class ReleaseRole(Construct):
    """May do what the resources of a release stack need, on those of `stack` only, and pass their three roles.

    stack: the pattern of the names of the release stacks, which are also the families of their task definitions.
    service: the pattern of the names of the ECS services in `cluster_name`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role_name: str,
        stack: str,
        cluster_name: str,
        service: str,
        roles: ServiceRoles,
    ) -> None:
        super().__init__(scope, construct_id)
        own = Stack.of(self)
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
                own.format_arn(service=service, resource=resource, resource_name=name, arn_format=form)
                for name in found
            ]

        allow(
            self.role,
            [f"ecs:{action}" for action in SERVICE_ACTIONS],
            arns("ecs", "service", [f"{cluster_name}/{service}"]),
            because=EVERY_MODEL,
        )
        allow(
            self.role,
            ["ecs:DescribeServiceDeployments", "ecs:StopServiceDeployment"],
            arns("ecs", "service-deployment", [f"{cluster_name}/{service}/*"]),
            because="ECS makes the ids of the service's deployments.",
        )
        allow(
            self.role,
            ["ecs:RegisterTaskDefinition", "ecs:TagResource"],
            arns("ecs", "task-definition", [f"{stack}:*"]),
            because="ECS counts the revisions of the release's own family.",
        )
        allow(
            self.role,
            ["ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition"],
            ["*"],
            because="These actions on task definitions have no resource to name.",
        )
        allow(
            self.role,
            [f"application-autoscaling:{action}" for action in SCALING_ACTIONS],
            arns("application-autoscaling", "scalable-target", ["*"]),
            because="Application Auto Scaling makes the ids of its targets.",
        )
        allow(
            self.role,
            ["application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies"],
            ["*"],
            because="Describing scaling has no resource to name.",
        )
        alarms, scaling = [f"{stack}-*"], [f"TargetTracking-service/{cluster_name}/{service}-*"]
        allow(
            self.role,
            ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"],
            arns("cloudwatch", "alarm", [*alarms, *scaling], colon=True),
            because="CloudFormation and scaling add a suffix to the names of the release's own alarms.",
        )
        pass_role(self.role, [roles.task.role_arn, roles.execution.role_arn], "ecs-tasks.amazonaws.com")
        pass_role(self.role, [roles.infrastructure.role_arn, roles.hooks.role_arn], "ecs.amazonaws.com")
        for principal, name in SERVICE_LINKED.items():
            allow(
                self.role,
                ["iam:CreateServiceLinkedRole"],
                [f"arn:{own.partition}:iam::{own.account}:role/aws-service-role/{principal}/{name}"],
                conditions={"StringEquals": {"iam:AWSServiceName": principal}},
            )
