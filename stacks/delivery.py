"""From a push to an image and a training run: who may deliver, and what builds."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from lockgate import names
from lockgate.config import Configuration
from lockgate_constructs.github_role import GitHubRole
from lockgate_constructs.image_build import ImageBuild
from lockgate_constructs.image_repository import ImageRepository
from lockgate_constructs.permission import allow
from stacks.artifacts import ArtifactsStack


class DeliveryStack(Stack):
    """The role lockgate-delivery for one branch of one repository, and the two image builds."""

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
        self._allow_delivery(configuration, images)

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
            logs_key=self._artifacts.operations_key,
            failures=self._artifacts.failures,
        )

    def _allow_delivery(self, configuration: Configuration, images: ImageBuild) -> None:
        github = configuration.tools.github
        role = GitHubRole(
            self,
            "GitHub",
            role_name=names.DELIVERY_ROLE,
            subject=github.subject,
            repository_id=github.repository_id,
            ref=f"refs/heads/{github.branch}",
            provider_arn=github.provider_arn,
        ).role
        artifacts, project = self._artifacts, images.project.project_arn
        pipelines = [
            self.format_arn(service="sagemaker", resource="pipeline", resource_name=names.pipeline(model.name))
            for model in configuration.models
        ]
        allow(
            role,
            ["s3:PutObject"],
            [artifacts.source.objects(names.source_key("*"))],
            because="Archives are named after the commits to come; the bucket refuses to replace one.",
        )
        allow(role, ["codebuild:StartBuild", "codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject"], [project])
        for key in _FIXED:
            role.add_to_policy(_refuse_override(project, key))
        allow(role, ["ecr:DescribeImages", "ecr:BatchGetImage"], [artifacts.models_repository.repository_arn])
        allow(
            role,
            ["s3:ListBucket"],
            [artifacts.data.known_arn],
            conditions={"StringLike": {"s3:prefix": ["snapshots/*", "champions/*"]}},
        )
        champions = [artifacts.data.objects(f"{names.champion_prefix(m.name)}*") for m in configuration.models]
        allow(role, ["s3:GetObject"], champions, because="A note of each champion to come, named by its record.")
        allow(role, ["sagemaker:StartPipelineExecution"], pipelines)
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [artifacts.artifacts_key.key_arn])


# What whoever starts a build must not choose: the commands, the identity and the machine image.
_FIXED = ("codebuild:source.buildspec", "codebuild:serviceRole", "codebuild:environment.image")


def _refuse_override(project_arn: str, key: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        effect=iam.Effect.DENY,
        actions=["codebuild:StartBuild"],
        resources=[project_arn],
        conditions={"Null": {key: "false"}},
    )
