"""The service that runs one model's pinned release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from aws_cdk import Aws, CfnCondition, CfnResource, Duration, Fn, Token
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from lockgate import names
from lockgate.configuration.rollout import Rollout
from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.failure_topic import NO_PREDICTIONS, NO_REQUESTS, alarm
from lockgate_constructs.model_route import ModelRoute
from lockgate_constructs.serving_network import TASK_PORT, Network

Resource = TypeVar("Resource", bound=CfnResource)

CONTAINER = "model"
CPU_TARGET_PERCENT = 60
MOST_TIMES_TASKS = 4
SERVING_USER = "10001"  # nobody in the image; it owns no file there


@dataclass(frozen=True)
class ServiceRoles:
    """Who a task is, who starts it, who shifts its traffic, who calls hooks: all of the environment."""

    task: iam.IRole
    execution: iam.IRole
    infrastructure: iam.IRole
    hooks: iam.IRole


@dataclass(frozen=True)
class Hook:
    """A function that a deployment waits for at a stage.

    minutes: how long at most; details: what every invocation gets, JSON as text.
    """

    stage: str
    function_arn: str
    minutes: int
    details: str


class ModelService(Construct):
    """A Fargate service deployed with test traffic first, its scaling and its alarms; all only if `condition` holds.

    at_once: when it holds, all traffic shifts at once and the old tasks go at once, whatever `rollout` says.
    It holds no IAM. There is no DesiredCount: a template that names one would reset a scaled service.
    image: URI with digest, a token of the stack's parameters; cpu in ECS units, memory in MiB.
    predictions: dimensions of what tasks measure, how far their predictions are from evaluation's; the task definition
        is one more. It is an alarm at prediction_distance.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        condition: CfnCondition,
        at_once: CfnCondition,
        rollout: Rollout,
        hooks: Sequence[Hook],
        family: str,
        service_name: str,
        image: str,
        environment: Mapping[str, str],
        cpu: int,
        memory: int,
        tasks: int,
        cluster_name: str,
        network: Network,
        route: ModelRoute,
        roles: ServiceRoles,
        log_group: logs.ILogGroup,
        failures: sns.ITopic,
        predictions: Mapping[str, str],
        prediction_distance: float,
    ) -> None:
        super().__init__(scope, construct_id)
        self._condition = condition
        definition = self._only_if(
            ecs.CfnTaskDefinition(
                self,
                "Tasks",
                family=family,
                cpu=str(cpu),
                memory=str(memory),
                network_mode="awsvpc",
                requires_compatibilities=["FARGATE"],
                runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(
                    cpu_architecture="X86_64", operating_system_family="LINUX"
                ),
                task_role_arn=roles.task.role_arn,
                execution_role_arn=roles.execution.role_arn,
                container_definitions=[_container(image, environment, log_group)],
            )
        )
        acknowledge(
            definition,
            "The variables are the pinned release and where it is; none of them is a secret.",
            "AwsSolutions-ECS2",
        )
        alarms = [
            each
            for name, group in (("Blue", route.blue), ("Green", route.green))
            for each in self._guards(name, group, rollout, failures)
        ]
        # Of this promotion's tasks, not of the same version's canary before: alarms judge minutes that are over, too.
        these = {**predictions, "TaskDefinition": Fn.select(1, Fn.split("/", definition.ref))}
        alarms.append(self._predictions_alarm(these, prediction_distance, failures))
        service = self._only_if(
            ecs.CfnService(
                self,
                "Service",
                service_name=service_name,
                cluster=cluster_name,
                task_definition=definition.ref,
                launch_type="FARGATE",
                propagate_tags="SERVICE",
                health_check_grace_period_seconds=60,
                network_configuration=ecs.CfnService.NetworkConfigurationProperty(
                    awsvpc_configuration=ecs.CfnService.AwsVpcConfigurationProperty(
                        subnets=network.vpc.select_subnets(subnet_type=ec2.SubnetType.PUBLIC).subnet_ids,
                        security_groups=[network.tasks.security_group_id],
                        assign_public_ip="ENABLED",
                    )
                ),
                deployment_configuration=_deployment(rollout, at_once, hooks, alarms, roles.hooks),
                load_balancers=[
                    ecs.CfnService.LoadBalancerProperty(
                        container_name=CONTAINER,
                        container_port=TASK_PORT,
                        target_group_arn=route.blue.target_group_arn,
                        advanced_configuration=ecs.CfnService.AdvancedConfigurationProperty(
                            alternate_target_group_arn=route.green.target_group_arn,
                            production_listener_rule=route.production_rule.listener_rule_arn,
                            test_listener_rule=route.test_rule.listener_rule_arn,
                            role_arn=roles.infrastructure.role_arn,
                        ),
                    )
                ],
            )
        )
        self._scale(service, f"service/{cluster_name}/{service_name}", tasks)

    def _only_if(self, resource: Resource) -> Resource:
        resource.cfn_options.condition = self._condition
        return resource

    def _predictions_alarm(self, dimensions: Mapping[str, str], distance: float, topic: sns.ITopic) -> cloudwatch.Alarm:
        """A release that predicts otherwise than it was evaluated; also guards the deployment that brings it."""
        made = alarm(
            self,
            "PredictionsShifted",
            metric=cloudwatch.Metric(
                namespace=names.METRIC_NAMESPACE,
                metric_name=names.PREDICTION_DISTANCE,
                dimensions_map=dict(dimensions),
                statistic="Maximum",
                period=Duration.minutes(1),
            ),
            description="Predictions of the release are distributed otherwise than evaluation's.",
            topic=topic,
            silence=NO_PREDICTIONS,
            threshold=distance,
        )
        self._only_if(cast(cloudwatch.CfnAlarm, made.node.default_child))
        return made

    def _guards(
        self, name: str, group: elb.ApplicationTargetGroup, rollout: Rollout, topic: sns.ITopic
    ) -> list[cloudwatch.Alarm]:
        """Of one target group; both groups are guarded in each deployment, since their roles swap."""
        minute = Duration.minutes(1)
        # As metrics name the group, from its ARN: the name itself would be one more output of the edge for each group.
        full_name = Fn.select(5, Fn.split(":", group.target_group_arn))
        dimensions = {"TargetGroup": full_name, "LoadBalancer": group.first_load_balancer_full_name}
        guards = (
            (
                "Errors",
                group.metrics.http_code_target(
                    elb.HttpCodeTarget.TARGET_5XX_COUNT, period=minute, statistic=cloudwatch.Stats.SUM
                ),
                (float(rollout.errors_per_minute), 1),
                "Tasks of the model answered requests with errors.",
            ),
            (
                "Latency",
                group.metrics.target_response_time(period=minute, statistic=cloudwatch.Stats.percentile(99)),
                (rollout.latency_p99_ms / 1000, 2),
                "One answer in a hundred of the model's tasks takes too long.",
            ),
            (
                "Unhealthy",
                group.metrics.unhealthy_host_count(period=minute, statistic=cloudwatch.Stats.MINIMUM),
                (1.0, rollout.unhealthy_minutes),
                "Tasks of the model are unhealthy.",
            ),
        )
        made = []
        for what, metric, (threshold, periods), description in guards:
            guard = alarm(
                self,
                f"{name}{what}",
                metric=metric.with_(dimensions_map=dimensions),
                description=description,
                topic=topic,
                silence=NO_REQUESTS,
                periods=periods,
                threshold=threshold,
            )
            self._only_if(cast(cloudwatch.CfnAlarm, guard.node.default_child))
            made.append(guard)
        return made

    def _scale(self, service: ecs.CfnService, resource_id: str, tasks: int) -> None:
        target = self._only_if(
            scaling.CfnScalableTarget(
                self,
                "Scaling",
                service_namespace="ecs",
                scalable_dimension="ecs:service:DesiredCount",
                resource_id=resource_id,
                min_capacity=tasks,
                max_capacity=MOST_TIMES_TASKS * tasks,
            )
        )
        target.add_resource_dependency(service)
        self._only_if(
            scaling.CfnScalingPolicy(
                self,
                "ScalingByCpu",
                policy_name="cpu",
                policy_type="TargetTrackingScaling",
                scaling_target_id=target.ref,
                target_tracking_scaling_policy_configuration=(
                    scaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                        target_value=CPU_TARGET_PERCENT,
                        predefined_metric_specification=(
                            scaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
                                predefined_metric_type="ECSServiceAverageCPUUtilization"
                            )
                        ),
                    )
                ),
            )
        )


def _deployment(
    rollout: Rollout,
    at_once: CfnCondition,
    hooks: Sequence[Hook],
    alarms: Sequence[cloudwatch.Alarm],
    hooks_role: iam.IRole,
) -> ecs.CfnService.DeploymentConfigurationProperty:
    """The steps' own bake times are 0: a hook holds each step, and looks at it meanwhile."""

    def unless_at_once(value: object, otherwise: object) -> Any:
        return Fn.condition_if(at_once.logical_id, otherwise, value)

    stepwise: dict[str, Any] = {}
    if rollout.strategy == "canary":
        canary = {"CanaryPercent": rollout.percent, "CanaryBakeTimeInMinutes": 0}
        stepwise = {"canary_configuration": unless_at_once(canary, {"Ref": "AWS::NoValue"})}
    if rollout.strategy == "linear":
        linear = {"StepPercent": rollout.percent, "StepBakeTimeInMinutes": 0}
        stepwise = {"linear_configuration": unless_at_once(linear, {"Ref": "AWS::NoValue"})}
    strategy = {"blue-green": "BLUE_GREEN", "canary": "CANARY", "linear": "LINEAR"}[rollout.strategy]
    return ecs.CfnService.DeploymentConfigurationProperty(
        strategy=Token.as_string(unless_at_once(strategy, "BLUE_GREEN")),
        bake_time_in_minutes=Token.as_number(unless_at_once(rollout.bake_minutes, 0)),
        minimum_healthy_percent=100,
        maximum_percent=200,
        alarms=ecs.CfnService.DeploymentAlarmsProperty(
            alarm_names=[each.alarm_name for each in alarms], enable=True, rollback=True
        ),
        lifecycle_hooks=[
            ecs.CfnService.DeploymentLifecycleHookProperty(
                lifecycle_stages=[hook.stage],
                hook_target_arn=hook.function_arn,
                role_arn=hooks_role.role_arn,
                hook_details=hook.details,
                timeout_configuration=ecs.CfnService.HookTimeoutConfigProperty(
                    action="ROLLBACK", timeout_in_minutes=hook.minutes
                ),
            )
            for hook in hooks
        ],
        **stepwise,
    )


def _container(
    image: str, environment: Mapping[str, str], log_group: logs.ILogGroup
) -> ecs.CfnTaskDefinition.ContainerDefinitionProperty:
    bound = {**environment, "BIND_HOST": "0.0.0.0", "BIND_PORT": str(TASK_PORT)}  # noqa: S104 - inside the task
    return ecs.CfnTaskDefinition.ContainerDefinitionProperty(
        name=CONTAINER,
        image=image,
        command=["serve"],
        essential=True,
        stop_timeout=30,
        user=SERVING_USER,
        readonly_root_filesystem=True,  # the server writes nothing
        port_mappings=[ecs.CfnTaskDefinition.PortMappingProperty(container_port=TASK_PORT, protocol="tcp")],
        environment=[
            ecs.CfnTaskDefinition.KeyValuePairProperty(name=name, value=bound[name]) for name in sorted(bound)
        ],
        linux_parameters=ecs.CfnTaskDefinition.LinuxParametersProperty(init_process_enabled=True),
        log_configuration=ecs.CfnTaskDefinition.LogConfigurationProperty(
            log_driver="awslogs",
            options={
                "awslogs-group": log_group.log_group_name,
                "awslogs-region": Aws.REGION,
                "awslogs-stream-prefix": CONTAINER,
            },
        ),
    )
