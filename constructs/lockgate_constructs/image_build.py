"""The build of an image from the archive of a commit."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from lockgate.evidence.provenance import DIGEST_VARIABLE
from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.failure_topic import NEVER_RUN, alarm
from lockgate_constructs.image_repository import PULL_ACTIONS, PUSH_ACTIONS, ImageRepository
from lockgate_constructs.log_group import LogGroup
from lockgate_constructs.permission import allow
from lockgate_constructs.private_bucket import PrivateBucket


class ImageBuild(Construct):
    """A project whose commands are part of the stack: no commit, and nobody who starts it, can change them.

    sources: keys in `source` that may be built, such as `commits/*`; whoever starts a build names one, and COMMIT.
    base_image, builder_image: with their digests; what the image is built on, and the BuildKit that builds it.
    labels: NAME=VALUE, where VALUE may use $COMMIT; default none, so that the same files give the same digest.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        project_name: str,
        dockerfile: str,
        base_image: str,
        builder_image: str,
        labels: Sequence[str] = (),
        source: PrivateBucket,
        sources: str,
        repository: ImageRepository,
        key: kms.IKey,
        logs: LogGroup,
        failures: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description=f"Builds {dockerfile} and pushes it.",
            assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"),
        )
        self.project = codebuild.Project(
            self,
            "Project",
            project_name=project_name,
            description=f"Builds {dockerfile} from the archive of a commit and pushes it under the commit's tag.",
            # Without this CDK would add wider permissions than the ones below.
            role=role.without_policy_updates(),
            source=codebuild.Source.s3(bucket=source, path=f"{sources.removesuffix('*')}name-one-at-start.zip"),
            build_spec=codebuild.BuildSpec.from_object(commands(dockerfile, labels, stack.region)),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.MEDIUM,
                privileged=True,
            ),
            environment_variables={
                "REPOSITORY_URI": codebuild.BuildEnvironmentVariable(value=repository.repository_uri),
                "BASE_IMAGE": codebuild.BuildEnvironmentVariable(value=base_image),
                "BUILDER_IMAGE": codebuild.BuildEnvironmentVariable(value=builder_image),
            },
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=logs)),
            encryption_key=key,
            timeout=Duration.minutes(30),
            queued_timeout=Duration.hours(1),
            grant_report_group_permissions=False,
        )
        allow(
            role,
            ["s3:GetObject", "s3:GetObjectVersion"],
            [source.objects(sources)],
            because="Archives are named after the commits to come.",
        )
        allow(role, ["s3:GetBucketLocation", "s3:ListBucket"], [source.known_arn])
        allow(role, ["ecr:GetAuthorizationToken"], ["*"], because="Logging in to ECR has no resource to name.")
        allow(role, [*PULL_ACTIONS, *PUSH_ACTIONS], [repository.repository_arn])
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn])
        allow(role, ["logs:CreateLogStream", "logs:PutLogEvents"], [logs.log_group_arn])
        acknowledge(self.project, "Building an image needs a Docker daemon.", "AwsSolutions-CB3")
        alarm(
            self,
            "Failed",
            metric=self.project.metric_failed_builds(period=Duration.minutes(1)),
            description=f"A build of {dockerfile} failed.",
            topic=failures,
            silence=NEVER_RUN,
        )


def commands(dockerfile: str, labels: Sequence[str], region: str) -> dict[str, object]:
    """Built first and pushed in the phase after, so that a build says which of the two failed, and pushes nothing half.

    Times in the image are 0: the same files give the same digest whenever and wherever they are built.
    """
    build = (
        f"docker buildx build --file {dockerfile} --provenance=false --sbom=false "
        '--build-arg BASE_IMAGE="$BASE_IMAGE" --build-arg SOURCE_DATE_EPOCH=0 '
        + "".join(f'--label "{label}" ' for label in labels)
    )
    return {
        "version": "0.2",
        "env": {"exported-variables": [DIGEST_VARIABLE]},
        "phases": {
            "pre_build": {
                "commands": [
                    'echo "$COMMIT" | grep -Eq "^[0-9a-f]{40}$"',
                    f"aws ecr get-login-password --region {region} | "
                    'docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"',
                    "docker buildx create --driver docker-container --driver-opt image=$BUILDER_IMAGE --use",
                ]
            },
            "build": {"commands": [f"{build}--output type=cacheonly ."]},
            "post_build": {
                "commands": [
                    '[ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]',
                    f"{build}--output "
                    '"type=image,name=$REPOSITORY_URI:$COMMIT,push=true,rewrite-timestamp=true" '
                    "--metadata-file ../pushed.json .",
                    f"export {DIGEST_VARIABLE}=$(sed -nE "
                    '\'s/.*"containerimage.digest": *"(sha256:[0-9a-f]{64})".*/\\1/p\' ../pushed.json)',
                    f'[ -n "${DIGEST_VARIABLE}" ]',
                ]
            },
        },
    }
