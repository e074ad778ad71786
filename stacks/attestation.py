"""From a pushed image to one that a gate may trust: what vouches for it."""

from __future__ import annotations

from aws_cdk import IgnoreMode, Stack
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate_constructs.image_attestation import ImageAttestation
from lockgate_constructs.signing_key import SigningKey

from .artifacts import ArtifactsStack


class AttestationStack(Stack):
    """No role that delivers may start the attestation: the controller does, when a build succeeded.

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
        signing_key: SigningKey,
        root: str,
        exclude: list[str],
        stack_name: str,
    ) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description="Lockgate: provenance of images, signed"
        )
        tools = configuration.tools
        built = [
            names.project_arn(tools.account, tools.region, project)
            for project in (names.IMAGE_PROJECT, names.EVALUATOR_PROJECT)
        ]
        repositories = [artifacts.models_repository, artifacts.evaluator_repository]
        ImageAttestation(
            self,
            "ImageAttestation",
            project_name=names.ATTESTATION_PROJECT,
            role_name=names.ATTESTATION_ROLE,
            program=assets.Asset(self, "Program", path=root, exclude=exclude, ignore_mode=IgnoreMode.GIT),
            built=built,
            source=artifacts.source,
            sources=[names.source_key("*").removesuffix(".zip"), names.evaluator_source_key("*").removesuffix(".zip")],
            repositories=repositories,
            signing_key=signing_key,
            key=artifacts.artifacts_key,
            logs_key=artifacts.records_key,
            failures=artifacts.failures,
        )
