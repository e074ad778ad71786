"""The service that runs one model's pinned release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from aws_cdk import Aws, CfnCondition, CfnResource, Duration
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.failure_topic import alarm
from lockgate_constructs.model_route import ModelRoute
from lockgate_constructs.serving_network import TASK_PORT, ServingNetwork

Resource = TypeVar("Resource", bound=CfnResource)

CONTAINER = "model"
CPU_TARGET_PERCENT = 60
MOST_TIMES_TASKS = 4
SERVING_USER = "10001"  # nobody in the image; it owns no file there


@dataclass(frozen=True)
class ServiceRoles:
    """Who a task is, who starts it, and who shifts its traffic; all of the environment, none of the release."""

    task: iam.IRole
    execution: iam.IRole
    infrastructure: iam.IRole


class ModelService(Construct):
    """A Fargate service deployed blue/green, its scaling and its alarms, all of which exist only if `condition` holds.

    It holds no IAM. There is no DesiredCount: a template that names one would reset a scaled service.
    image: URI with digest, a token of the stack's parameters; cpu in ECS units, memory in MiB.
    predictions: how far the release's predictions are from evaluation's, which is an alarm at prediction_distance.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        condition: CfnCondition,
        family: str,
        service_name: str,
        image: str,
        environment: Mapping[str, str],
        cpu: int,
        memory: int,
        tasks: int,
        cluster_name: str,
        network: ServingNetwork,
        route: ModelRoute,
        roles: ServiceRoles,
        log_group: logs.ILogGroup,
        failures: sns.ITopic,
        predictions: cloudwatch.IMetric,
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
        alarms = [self._errors_alarm(name, group, failures) for name, group in _groups(route)]
        alarms.append(self._predictions_alarm(predictions, prediction_distance, failures))
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
                deployment_configuration=ecs.CfnService.DeploymentConfigurationProperty(
                    strategy="BLUE_GREEN",
                    bake_time_in_minutes=0,
                    minimum_healthy_percent=100,
                    maximum_percent=200,
                    alarms=ecs.CfnService.DeploymentAlarmsProperty(
                        alarm_names=[each.alarm_name for each in alarms], enable=True, rollback=True
                    ),
                ),
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
        for name, group in _groups(route):
            self._health_alarm(name, group, failures)

    def _only_if(self, resource: Resource) -> Resource:
        resource.cfn_options.condition = self._condition
        return resource

    def _conditional_alarm(
        self,
        construct_id: str,
        *,
        metric: cloudwatch.IMetric,
        description: str,
        topic: sns.ITopic,
        periods: int,
        threshold: float = 1,
    ) -> cloudwatch.Alarm:
        made = alarm(
            self,
            construct_id,
            metric=metric,
            description=description,
            topic=topic,
            periods=periods,
            threshold=threshold,
        )
        self._only_if(cast(cloudwatch.CfnAlarm, made.node.default_child))
        return made

    def _errors_alarm(self, name: str, group: elb.ApplicationTargetGroup, topic: sns.ITopic) -> cloudwatch.Alarm:
        """Answers with an error of the model's own; also guards each deployment, whichever group it fills."""
        return self._conditional_alarm(
            f"{name}Errors",
            metric=group.metrics.http_code_target(
                elb.HttpCodeTarget.TARGET_5XX_COUNT, period=Duration.minutes(1), statistic="Sum"
            ),
            description="Tasks of the model answered requests with errors.",
            topic=topic,
            periods=1,
        )

    def _predictions_alarm(self, metric: cloudwatch.IMetric, distance: float, topic: sns.ITopic) -> cloudwatch.Alarm:
        """A release that predicts otherwise than it was evaluated; also guards the deployment that brings it."""
        return self._conditional_alarm(
            "PredictionsShifted",
            metric=metric,
            description="Predictions of the release are distributed otherwise than evaluation's.",
            topic=topic,
            periods=1,
            threshold=distance,
        )

    def _health_alarm(self, name: str, group: elb.ApplicationTargetGroup, topic: sns.ITopic) -> None:
        self._conditional_alarm(
            f"{name}Unhealthy",
            metric=group.metrics.unhealthy_host_count(period=Duration.minutes(1), statistic="Minimum"),
            description="Tasks of the model have been unhealthy for five minutes.",
            topic=topic,
            periods=5,
        )

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


def _groups(route: ModelRoute) -> tuple[tuple[str, elb.ApplicationTargetGroup], ...]:
    return (("Blue", route.blue), ("Green", route.green))


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
