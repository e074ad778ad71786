"""Where images are vouched for: apart from where they are built, by code of the stack and with a role of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sns as sns
from constructs import Construct

from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.failure_topic import NEVER_RUN, alarm
from lockgate_constructs.image_repository import PULL_ACTIONS, PUSH_ACTIONS, ImageRepository
from lockgate_constructs.log_group import LogGroup
from lockgate_constructs.permission import allow
from lockgate_constructs.private_bucket import PrivateBucket


class ImageAttestation(Construct):
    """A project that reads what a build did, lists what is in its image, signs both, and keeps them beside the image.

    It runs no code of a commit, and no container: an image is data to it. Whoever starts it names a build in BUILD.
    built: ARNs of the image projects it vouches for. sources: keys in `source` of the archives they build.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        project_name: str,
        role_name: str,
        program: assets.Asset,
        built: Sequence[str],
        source: PrivateBucket,
        sources: Sequence[str],
        repositories: Sequence[ImageRepository],
        signing_key: kms.IKey,
        key: kms.IKey,
        logs_key: kms.IKey,
        failures: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        logs = LogGroup(self, "Logs", key=logs_key)
        role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description="Vouches for images: signs what built them and what is in them.",
            assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"),
        )
        self.project = codebuild.Project(
            self,
            "Project",
            project_name=project_name,
            description="Signs provenance and bill of materials of an image, and keeps both beside it.",
            # Without this CDK would add wider permissions than the ones below.
            role=role.without_policy_updates(),
            source=codebuild.Source.s3(bucket=program.bucket, path=program.s3_object_key),
            build_spec=codebuild.BuildSpec.from_object(COMMANDS),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0, compute_type=codebuild.ComputeType.SMALL
            ),
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=value)
                for name, value in _variables(signing_key, source).items()
            },
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=logs)),
            encryption_key=key,
            timeout=Duration.minutes(15),
            queued_timeout=Duration.hours(1),
            grant_report_group_permissions=False,
        )
        allow(role, ["s3:GetObject", "s3:GetObjectVersion"], [program.bucket.arn_for_objects(program.s3_object_key)])
        allow(role, ["s3:GetBucketLocation", "s3:ListBucket"], [program.bucket.bucket_arn])
        allow(
            role,
            ["s3:GetObject"],
            [source.objects(pattern) for pattern in sources],
            because="Archives are named after the commits to come.",
        )
        allow(role, ["codebuild:BatchGetBuilds", "codebuild:BatchGetProjects"], built)
        allow(
            role,
            ["ecr:DescribeImages", *PULL_ACTIONS, *PUSH_ACTIONS],
            [repository.repository_arn for repository in repositories],
        )
        allow(role, ["kms:Sign", "kms:Verify", "kms:GetPublicKey"], [signing_key.key_arn])
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn])
        allow(role, ["logs:CreateLogStream", "logs:PutLogEvents"], [logs.log_group_arn])
        acknowledge(
            self.project,
            "Not privileged, and an AWS-managed image: it reads images as files.",
            "AwsSolutions-CB5",
        )
        alarm(
            self,
            "Failed",
            metric=self.project.metric_failed_builds(period=Duration.minutes(1)),
            description="An image could not be vouched for; no gate will pass it.",
            topic=failures,
            silence=NEVER_RUN,
        )


COMMANDS: dict[str, object] = {
    "version": "0.2",
    "phases": {
        "install": {
            "runtime-versions": {"python": "3.13"},
            "commands": [
                "pip install --quiet --require-hashes --only-binary :all: "
                "--requirement lockgate/aws/attestation_job.lock"
            ],
        },
        "build": {"commands": ["python3 -m lockgate.aws.attestation_job"]},
    },
}


def _variables(signing_key: kms.IKey, source: PrivateBucket) -> Mapping[str, str]:
    return {"SIGNING_KEY": signing_key.key_arn, "SOURCE_BUCKET": source.bucket_name}
