"""What ECS asks during a deployment: do new tasks answer as evaluation did, and does a canary fail more often."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from lockgate import names
from lockgate.configuration.environment import Environment
from lockgate_constructs.model_load_balancer import ModelLoadBalancer
from lockgate_constructs.permission import allow
from lockgate_constructs.private_bucket import PrivateBucket
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.serving_network import TEST_PORT, ServingNetwork


class DeploymentHooks(Construct):
    """Two functions, and `role`, with which ECS calls them and may do nothing else.

    services: names of the ECS services of the environment's cluster.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        models: Sequence[str],
        services: Sequence[str],
        code: lambda_.Code,
        network: ServingNetwork,
        balancer: ModelLoadBalancer,
        releases: PrivateBucket,
        key: kms.IKey,
        failures: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        dns_name = balancer.load_balancer.load_balancer_dns_name
        replay = PythonFunction(
            self,
            "Replay",
            code=code,
            handler="lambdas.replay.handler",
            description="Asks new tasks for what evaluation recorded, before they get traffic.",
            environment={
                "ENVIRONMENT": environment.name,
                "RELEASES_BUCKET": releases.bucket_name,
                "BALANCER": dns_name,
                "BALANCER_PORT": str(TEST_PORT),
                "HOST": environment.host or dns_name,
            },
            key=key,
            failures=failures,
            timeout=Duration.minutes(1),
            function_name=names.replay_function(environment.name),
            network=(network.vpc, network.replay),
        )
        replay.allow(
            "s3:GetObject",
            on=[releases.objects(f"{model}/replays/*") for model in models],
            because="Recorded rows lie under their digest, which is known when a release is made.",
        )
        watch = PythonFunction(
            self,
            "Watch",
            code=code,
            handler="lambdas.watch.handler",
            description="Compares a canary's errors with those of the release beside it.",
            environment={
                "RELEASES_BUCKET": releases.bucket_name,
                "LOAD_BALANCER": balancer.load_balancer.load_balancer_full_name,
            },
            key=key,
            failures=failures,
            timeout=Duration.minutes(1),
            function_name=names.watch_function(environment.name),
        )
        cluster = names.cluster(environment.name)
        watch.allow("cloudwatch:GetMetricData", on=["*"], because="Metrics have no resource to name.")
        watch.allow(
            "ecs:DescribeServiceRevisions",
            on=[
                Stack.of(self).format_arn(
                    service="ecs", resource="service-revision", resource_name=f"{cluster}/{service}/*"
                )
                for service in services
            ],
            because="ECS makes the ids of a service's revisions.",
        )
        for function in (replay, watch):
            function.allow(
                "s3:PutObject",
                on=[releases.objects(f"{names.findings_prefix(model)}*") for model in models],
                because="Findings lie under the ids of deployments, which ECS makes.",
            )
            function.allow("s3:ListBucket", on=[releases.known_arn])
            function.allow("kms:Decrypt", "kms:GenerateDataKey", on=[key.key_arn])
        self.role = iam.Role(
            self,
            "Role",
            description="ECS calls the functions that a deployment waits for with it.",
            assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
        )
        allow(self.role, ["lambda:InvokeFunction"], [replay.function.function_arn, watch.function.function_arn])
