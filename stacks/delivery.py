"""From a push to an image, a training run and deployed stacks: who may do it, one role a purpose, and what builds."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from constructs import Construct

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate_constructs.build_overrides import refuse_overrides
from lockgate_constructs.github_trust import GitHubTrust
from lockgate_constructs.image_build import ImageBuild
from lockgate_constructs.image_repository import ImageRepository
from lockgate_constructs.log_group import LogGroup
from lockgate_constructs.permission import EVERY_MODEL, allow
from lockgate_constructs.url_caller_role import url_rights

from .artifacts import ArtifactsStack


class DeliveryStack(Stack):
    """Roles for the workflow runs of one branch of one repository, and the two image builds.

    review: reads what is deployed; delivery: puts one archive, starts the image build and the pipelines; and for each
    environment, and tools, one that only takes that environment's CDK roles and asks whether it may.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        artifacts: ArtifactsStack,
        stack_name: str,
    ) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description="Lockgate: delivery of commits as images"
        )
        self._artifacts = artifacts
        self._tools = configuration.tools
        self._logs = LogGroup(self, "BuildLogs", key=artifacts.records_key)
        images = self._build(
            "ImageBuild",
            names.IMAGE_PROJECT,
            "model/Dockerfile",
            names.source_key("*").removesuffix(".zip"),
            artifacts.models_repository,
            labels=["org.opencontainers.image.revision=$COMMIT"],
        )
        self._build(
            "EvaluatorBuild",
            names.EVALUATOR_PROJECT,
            "runtime/Dockerfile",
            names.evaluator_source_key("*").removesuffix(".zip"),
            artifacts.evaluator_repository,
        )
        github = configuration.tools.github
        self._github = github
        self._trust = GitHubTrust(
            self, "GitHub", repository_id=github.repository_id, ref=github.ref, provider_arn=github.provider_arn
        )
        self._allow_delivery(configuration, images)
        self._allow_review()
        for name, account in configuration.stages.items():
            self._allow_infrastructure(name, account)

    def _build(
        self,
        construct_id: str,
        project: str,
        dockerfile: str,
        sources: str,
        repository: ImageRepository,
        labels: Sequence[str] = (),
    ) -> ImageBuild:
        return ImageBuild(
            self,
            construct_id,
            project_name=project,
            dockerfile=dockerfile,
            base_image=self._tools.base_image,
            builder_image=self._tools.builder_image,
            labels=labels,
            source=self._artifacts.source,
            sources=sources,
            repository=repository,
            key=self._artifacts.artifacts_key,
            logs=self._logs,
            failures=self._artifacts.failures,
        )

    def _allow_delivery(self, configuration: Configuration, images: ImageBuild) -> None:
        role = self._trust.role(
            "Role",
            role_name=names.DELIVERY_ROLE,
            subject=self._github.subject,
            description="Taken by GitHub to deliver a commit.",
        )
        artifacts, project = self._artifacts, images.project.project_arn
        pipelines = self.format_arn(service="sagemaker", resource="pipeline", resource_name=names.pipeline(names.ANY))
        allow(
            role,
            ["s3:PutObject"],
            [artifacts.source.objects(names.source_key("*"))],
            because="Archives are named after the commits to come; the bucket refuses to replace one.",
        )
        allow(role, ["codebuild:StartBuild", "codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject"], [project])
        refuse_overrides(role, project)
        allow(role, ["ecr:DescribeImages", "ecr:BatchGetImage"], [artifacts.models_repository.repository_arn])
        allow(
            role,
            ["s3:ListBucket"],
            [artifacts.data.known_arn],
            conditions={"StringLike": {"s3:prefix": ["snapshots/*", "chosen-snapshots/*", "champions/*"]}},
        )
        champions = [artifacts.data.objects(f"{names.champion_prefix(names.ANY)}*")]
        allow(role, ["s3:GetObject"], champions, because="A note of each champion to come, named by its record.")
        allow(
            role,
            ["sagemaker:DescribePipeline", "sagemaker:ListPipelineExecutions", "sagemaker:StartPipelineExecution"],
            [pipelines],
            because=EVERY_MODEL,
        )
        allow(
            role,
            ["sagemaker:ListPipelineExecutionSteps", "sagemaker:ListPipelineParametersForExecution"],
            [f"{pipelines}/execution/*"],
            because="SageMaker names the executions, whose parameters say what a version started from.",
        )
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [artifacts.artifacts_key.key_arn])

    def _allow_review(self) -> None:
        """Reads which commit is deployed where, so that a change can be compared with it."""
        role = self._trust.role(
            "Review",
            role_name=names.REVIEW_ROLE,
            subject=self._github.subject,
            description="Taken by GitHub to compare a commit with what is deployed.",
        )
        ledger = self._artifacts.ledger
        prefix = f"{names.INFRASTRUCTURE_CHAIN}/"
        allow(
            role, ["s3:GetObject"], [ledger.objects(f"{prefix}*")], because="Records are named when they are written."
        )
        allow(role, ["s3:ListBucket"], [ledger.known_arn], conditions={"StringEquals": {"s3:prefix": prefix}})
        allow(role, ["kms:Decrypt"], [self._artifacts.records_key.key_arn])

    def _allow_infrastructure(self, environment: str, account: str) -> None:
        """Takes the roles that `cdk bootstrap` made there, for jobs that name the GitHub environment of this name."""
        role = self._trust.role(
            f"Infrastructure-{environment}",
            role_name=names.infrastructure_role(environment),
            subject=self._github.subject_in(environment),
            description=f"Taken by GitHub to deploy the stacks of {environment}.",
        )
        allow(role, ["sts:AssumeRole"], [names.cdk_role(each, account, self.region) for each in _CDK_ROLES])
        for statement in url_rights([names.function_arn(self.account, self.region, names.DECIDE_FUNCTION)]):
            role.add_to_policy(statement)


# What `cdk deploy` takes; CloudFormation takes cfn-exec by itself, and no context is looked up.
_CDK_ROLES = ("deploy", "file-publishing")
