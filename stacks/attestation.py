"""From a pushed image to one that a gate may trust: what vouches for it, and what sees to it that it does."""

from __future__ import annotations

from aws_cdk import Duration, IgnoreMode, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate_constructs.image_attestation import ImageAttestation
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.watched_rule import WatchedRule
from stacks.artifacts import ArtifactsStack

RECONCILE_MINUTES = 15
IMAGE_PROJECTS = (names.IMAGE_PROJECT, names.EVALUATOR_PROJECT)


class AttestationStack(Stack):
    """No role that delivers may start the attestation: a build that succeeded does, and a clock for lost events.

    root, exclude: the project without all but the Lambda bundle's folders; the attestation's source, so that its code
    is the stack's and no commit's.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        artifacts: ArtifactsStack,
        code: lambda_.Code,
        root: str,
        exclude: list[str],
        stack_name: str,
    ) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description="Lockgate: provenance of images, signed"
        )
        tools = configuration.tools
        built = [names.project_arn(tools.account, tools.region, project) for project in IMAGE_PROJECTS]
        repositories = [artifacts.models_repository, artifacts.evaluator_repository]
        attestation = ImageAttestation(
            self,
            "ImageAttestation",
            project_name=names.ATTESTATION_PROJECT,
            role_name=names.ATTESTATION_ROLE,
            program=assets.Asset(self, "Program", path=root, exclude=exclude, ignore_mode=IgnoreMode.GIT),
            built=built,
            source=artifacts.source,
            sources=[names.source_key("*").removesuffix(".zip"), names.evaluator_source_key("*").removesuffix(".zip")],
            repositories=repositories,
            signing_key=artifacts.signing_key,
            key=artifacts.artifacts_key,
            logs_key=artifacts.records_key,
            failures=artifacts.failures,
        )
        dead_letters = artifacts.dead_letters
        starter = PythonFunction(
            self,
            "Starter",
            code=code,
            handler="lambdas.attest.handler",
            description="Has each image vouched for that a build has pushed.",
            environment={"ACCOUNT": tools.account},
            key=artifacts.records_key,
            failures=artifacts.failures,
            timeout=Duration.minutes(1),
            dead_letters=dead_letters,
        )
        starter.allow("codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", on=built)
        starter.allow("codebuild:StartBuild", on=[attestation.project.project_arn])
        starter.allow(
            "ecr:BatchGetImage", on=[repository.repository_arn for repository in repositories]
        )  # lists referrers
        WatchedRule(
            self,
            "Built",
            description="A build pushed an image that nobody has vouched for yet.",
            dead_letters=dead_letters,
            pattern=events.EventPattern(
                source=["aws.codebuild"],
                detail_type=["CodeBuild Build State Change"],
                detail={"project-name": list(IMAGE_PROJECTS), "build-status": ["SUCCEEDED"]},
            ),
        ).calls(starter.function)
        WatchedRule(
            self,
            "Reconcile",
            description="Looks for images whose event was lost, or whose attestation failed.",
            dead_letters=dead_letters,
            schedule=events.Schedule.rate(Duration.minutes(RECONCILE_MINUTES)),
        ).calls(starter.function)
