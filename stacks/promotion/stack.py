"""The promotion stack: gate, controller, what persons decide, and the workflow that asks them."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate_constructs.failure_topic import NEVER_RUN, alarm
from lockgate_constructs.promotion_workflow import Destination, PromotionWorkflow
from lockgate_constructs.python_function import PythonFunction

from ..artifacts import ArtifactsStack
from .anchor import anchor_heads
from .controller import carry_along
from .factory import COUNTED, FunctionFactory
from .persons import hear_persons


class PromotionStack(Stack):
    """Each function has a role of its own, and only what its docstring in lambdas/ asks for."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        artifacts: ArtifactsStack,
        code: lambda_.Code,
        stack_name: str,
    ) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description="Lockgate: gates, approvals and promotion"
        )
        # What the functions' code has, for who asks which policy is deployed (lockgate.aws.deployed_policies).
        self.template_options.metadata = {
            names.POLICIES: {
                environment.name: {
                    model.name: configuration.policy(environment, model.name).sha256 for model in configuration.models
                }
                for environment in configuration.environments
            }
        }
        factory = FunctionFactory(self, configuration=configuration, artifacts=artifacts, code=code)
        gate = _gate(factory)
        controller = carry_along(factory)
        hear_persons(factory)
        PromotionWorkflow(
            self,
            "Workflow",
            state_machine_name=names.PROMOTION_STATE_MACHINE,
            role_name=names.PROMOTION_ROLE,
            destinations=[
                Destination(
                    environment.name,
                    names.function_arn(
                        environment.account, environment.region, names.deploy_function(environment.name)
                    ),
                    names.role_arn(environment.account, names.promote_role(environment.name)),
                )
                for environment in configuration.environments
            ],
            gate_arn=gate.function.function_arn,
            controller_arn=controller.function.function_arn,
            key=artifacts.records_key,
            failures=artifacts.failures,
        )
        if configuration.tools.anchored:
            anchor_heads(factory)


def _gate(factory: FunctionFactory) -> PythonFunction:
    artifacts = factory.artifacts
    gate = factory.function(
        "Gate",
        "gate",
        "Judges a model version for an environment.",
        {
            "EVIDENCE_BUCKET": artifacts.evidence.bucket_name,
            "MODELS_BUCKET": artifacts.models.bucket_name,
            "SIGNING_KEY": artifacts.signing_key.key_arn if artifacts.signing_key else "none",
        },
        ledger="appends",
        function_name=names.GATE_FUNCTION,
        minutes=10,
    )
    factory.allow_read(gate, (artifacts.evidence, artifacts.models), artifacts.artifacts_key)
    gate.allow(
        "sagemaker:DescribeModelPackage",
        "sagemaker:UpdateModelPackage",
        on=factory.packages,
        because=COUNTED,
    )
    gate.allow(
        "sagemaker:DescribePipelineExecution",
        "sagemaker:ListPipelineExecutionSteps",
        on=[factory.sagemaker("pipeline", f"{names.pipeline(names.ANY)}/execution/*")],
        because="SageMaker makes the ids of the executions of a model's own pipeline.",
    )
    gate.allow(
        "sagemaker:DescribeProcessingJob",
        on=[factory.sagemaker("processing-job", "pipelines-*")],
        because="SageMaker names the jobs of an execution pipelines-<execution>-<step>-<suffix>.",
    )
    gate.allow(
        "ecr:BatchGetImage",
        "ecr:DescribeImageScanFindings",
        "ecr:DescribeImages",
        "ecr:GetDownloadUrlForLayer",
        on=[artifacts.models_repository.repository_arn],
    )
    if artifacts.signing_key:
        gate.allow("kms:Verify", on=[artifacts.signing_key.key_arn])
    factory.let_count(gate)
    alarm(
        factory.stack,
        "ScanUnfinished",
        metric=cloudwatch.Metric(
            namespace=names.METRIC_NAMESPACE,
            metric_name=names.SCAN_UNFINISHED,
            statistic="Sum",
            period=Duration.minutes(1),
        ),
        description="An image's scan did not end within half an hour, or cannot: its verdict is inconclusive.",
        topic=artifacts.failures,
        silence=NEVER_RUN,
    )
    return gate
