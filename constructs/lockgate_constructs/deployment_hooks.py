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
from lockgate_constructs.log_group import LogGroup
from lockgate_constructs.model_load_balancer import ModelLoadBalancer
from lockgate_constructs.permission import allow
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.serving_network import TEST_PORT, ServingNetwork


class DeploymentHooks(Construct):
    """Two functions for all environments of an edge; which one a deployment is of, its hook's details say.

    key: of the environments' buckets of releases.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environments: Sequence[Environment],
        code: lambda_.Code,
        network: ServingNetwork,
        balancer: ModelLoadBalancer,
        key: kms.IKey,
        failures: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        edge = environments[0].name
        variables = {"ENVIRONMENT": edge, "BALANCER": balancer.dns_name}
        logs = LogGroup(self, "Logs", key=key)
        self.replay = PythonFunction(
            self,
            "Replay",
            code=code,
            handler="lambdas.replay.handler",
            description="Asks new tasks for what evaluation recorded, before they get traffic.",
            environment={**variables, "BALANCER_PORT": str(TEST_PORT)},
            key=key,
            failures=failures,
            timeout=Duration.minutes(1),
            function_name=names.replay_function(edge),
            network=(network.vpc, network.replay),
            logs=logs,
        )
        self.watch = PythonFunction(
            self,
            "Watch",
            code=code,
            handler="lambdas.watch.handler",
            description="Compares a canary's errors with those of the release beside it.",
            environment={"ENVIRONMENT": edge, "LOAD_BALANCER": balancer.load_balancer.load_balancer_full_name},
            key=key,
            failures=failures,
            timeout=Duration.minutes(1),
            function_name=names.watch_function(edge),
            logs=logs,
        )
        partition = Stack.of(self).partition
        released = [
            f"arn:{partition}:s3:::{names.releases_bucket(each.name, each.account, each.region)}"
            for each in environments
        ]
        self.replay.allow(
            "s3:GetObject",
            on=[f"{bucket}/*/replays/*" for bucket in released],
            because="Recorded rows lie under their digest, which is known when a release is made.",
        )
        self.watch.allow("cloudwatch:GetMetricData", on=["*"], because="Metrics have no resource to name.")
        self.watch.allow(
            "ecs:DescribeServiceRevisions",
            on=[
                Stack.of(self).format_arn(
                    service="ecs",
                    resource="service-revision",
                    resource_name=f"{names.cluster(each.name)}/*",
                )
                for each in environments
            ],
            because="ECS makes the ids of a service's revisions.",
        )
        for function in (self.replay, self.watch):
            function.allow(
                "s3:PutObject",
                on=[f"{bucket}/{names.findings_prefix(names.ANY)}*" for bucket in released],
                because="Findings lie under the ids of deployments, which ECS makes.",
            )
            # A `*` of IAM also stands for slashes: a hook talks to a commit's code, and a journal is written once.
            function.role.add_to_principal_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    actions=["s3:PutObject"],
                    resources=[f"{bucket}/{names.journal_prefix(names.ANY)}*" for bucket in released],
                )
            )
            function.allow("kms:Decrypt", "kms:GenerateDataKey", on=[key.key_arn])
        self.replay.allow("s3:ListBucket", on=released)


class HooksRole(iam.Role):
    """With which ECS calls the hooks of an edge (ARNs of functions), and may do nothing else."""

    def __init__(self, scope: Construct, construct_id: str, *, hooks: Sequence[str]) -> None:
        super().__init__(
            scope,
            construct_id,
            description="ECS calls the functions that a deployment waits for with it.",
            assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
        )
        allow(self, ["lambda:InvokeFunction"], hooks)
