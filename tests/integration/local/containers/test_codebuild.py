"""CodeBuild of the embedded AWS runs the buildspec with the rights of the service role."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

BUCKET = "sources"
ACCOUNT = "111111111111"
STATEMENTS = [
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": f"arn:aws:s3:::{BUCKET}/*"},
    {"Effect": "Allow", "Action": "logs:*", "Resource": "*"},
    {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
    {"Effect": "Allow", "Action": "ecr:*", "Resource": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/app"},
]


def archive(**files: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name.replace("__", "."), text)
    return written.getvalue()


@pytest.fixture(scope="module")
def build(embedded: Any, until: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Run a buildspec on a source archive to its end; returns the build."""
    s3, iam, codebuild = embedded.client("s3"), embedded.client("iam"), embedded.client("codebuild")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    trust = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="builder", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="builder",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": STATEMENTS}),
    )

    def run(name: str, spec: str, wait: bool = True, **given: Any) -> dict[str, Any]:
        version = s3.put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=given.pop("source", archive(hello="hi")))
        codebuild.create_project(
            name=name,
            source={"type": "S3", "location": f"{BUCKET}/none.zip", "buildspec": spec},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "ARM_CONTAINER",
                "image": "aws/codebuild/amazonlinux2-aarch64-standard:3.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [{"name": "FROM_PROJECT", "value": "project"}],
            },
            serviceRole=role,
            timeoutInMinutes=given.pop("timeout", 30),
        )
        started = codebuild.start_build(
            projectName=name,
            sourceLocationOverride=f"{BUCKET}/{name}.zip",
            sourceVersion=version["VersionId"],
            environmentVariablesOverride=[{"name": "COMMIT", "value": "abc"}],
            **given,
        )["build"]
        assert started["buildStatus"] == "IN_PROGRESS"

        def ended() -> dict[str, Any] | None:
            (found,) = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
            return found if found["buildComplete"] or not wait else None

        found: dict[str, Any] = until(ended, 30)
        return found

    return run


def phases(build: dict[str, Any]) -> dict[str, str]:
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in build["phases"]}


def log(embedded: Any, build: dict[str, Any]) -> list[str]:
    found = embedded.client("logs").get_log_events(
        logGroupName=build["logs"]["groupName"], logStreamName=build["logs"]["streamName"], startFromHead=True
    )
    return [event["message"] for event in found["events"]]


def test_a_build_runs_its_commands_on_the_source(build: Callable[..., dict[str, Any]], embedded: Any) -> None:
    done = build(
        "succeeds",
        """
version: 0.2
env:
  variables: {GREETING: hello}
  exported-variables: [RESULT, COMMIT]
phases:
  install:
    commands:
      - mkdir inside && cd inside
      - export FIRST=1
      - local_to_the_shell=2
  build:
    commands:
      - echo "$GREETING $FROM_PROJECT $COMMIT $(cat ../hello) $FIRST [$local_to_the_shell] $(basename $PWD)"
      - |
        if [ -n "$CODEBUILD_BUILD_ID" ]; then
          export RESULT="multi
        line"
        fi
""",
    )
    assert done["buildStatus"] == "SUCCEEDED"
    assert "hello project abc hi 1 [] inside" in log(embedded, done)
    assert done["exportedEnvironmentVariables"] == [
        {"name": "RESULT", "value": "multi\nline"},
        {"name": "COMMIT", "value": "abc"},
    ]
    assert set(phases(done).values()) == {"SUCCEEDED"}
    assert done["resolvedSourceVersion"] == done["sourceVersion"]


def test_a_failing_command_fails_the_build_and_post_build_still_runs(
    build: Callable[..., dict[str, Any]], embedded: Any
) -> None:
    done = build(
        "fails",
        """
version: 0.2
phases:
  build:
    commands: [echo before, "sh -c 'exit 7'", echo after]
    finally: [echo finally]
  post_build:
    commands: ['echo "succeeding: $CODEBUILD_BUILD_SUCCEEDING"']
""",
    )
    assert done["buildStatus"] == "FAILED"
    assert phases(done)["BUILD"] == "FAILED"
    assert "UPLOAD_ARTIFACTS" not in phases(done)
    (context,) = next(phase for phase in done["phases"] if phase["phaseType"] == "BUILD")["contexts"]
    assert context == {
        "statusCode": "COMMAND_EXECUTION_ERROR",
        "message": "Error while executing command: sh -c 'exit 7'. Reason: exit status 7",
    }
    said = log(embedded, done)
    assert "before" in said
    assert "after" not in said
    assert "finally" in said
    assert "succeeding: 0" in said


@pytest.mark.parametrize(
    ("name", "spec", "complaint"),
    [
        ("old", "version: 0.1\nphases: {}", "version 0.1: expected 0.2"),
        ("abort", "version: 0.2\nphases: {build: {on-failure: ABORT}}", "phases.build.on-failure is not supported"),
        ("typo", "version: 0.2\nphase: {}", "phase is not supported here"),
    ],
)
def test_a_buildspec_that_is_not_understood_fails_the_build(
    build: Callable[..., dict[str, Any]], name: str, spec: str, complaint: str
) -> None:
    done = build(name, spec)
    assert done["buildStatus"] == "FAILED"
    (context,) = next(phase for phase in done["phases"] if phase["phaseType"] == "DOWNLOAD_SOURCE")["contexts"]
    assert context["statusCode"] == "YAML_FILE_ERROR"
    assert complaint in context["message"]


def test_a_build_that_takes_too_long_is_ended(build: Callable[..., dict[str, Any]]) -> None:
    # A minute is a second in this server.
    done = build("slow", "version: 0.2\nphases: {build: {commands: [sleep 60]}}", timeout=5, source=archive(a="b"))
    assert done["buildStatus"] == "TIMED_OUT"
    assert phases(done)["BUILD"] == "TIMED_OUT"


def test_a_stopped_build_ends_its_commands(
    build: Callable[..., dict[str, Any]], embedded: Any, until: Callable[..., Any]
) -> None:
    codebuild = embedded.client("codebuild")
    started = build("stopped", "version: 0.2\nphases: {build: {commands: [sleep 60]}}", wait=False)

    def now() -> dict[str, Any]:
        (found,) = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
        return dict(found)

    until(lambda: now()["currentPhase"] == "BUILD")
    codebuild.stop_build(id=started["id"])
    done = until(lambda: now()["buildComplete"] and now(), 5)
    assert done["buildStatus"] == "STOPPED"


def test_the_service_role_is_what_a_build_may_do(build: Callable[..., dict[str, Any]], embedded: Any) -> None:
    done = build(
        "role",
        """
version: 0.2
phases:
  build:
    commands:
      - python3 -c "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
      - python3 -c "import boto3; boto3.client('sns').list_topics()"
""",
    )
    assert done["buildStatus"] == "FAILED"
    said = "\n".join(log(embedded, done))
    assert ":assumed-role/builder/AWSCodeBuild-" in said
    assert "not authorized to perform: sns:ListTopics" in said


def test_a_source_the_role_may_not_read_fails_the_build(
    build: Callable[..., dict[str, Any]], embedded: Any, until: Callable[..., Any]
) -> None:
    embedded.client("s3").create_bucket(Bucket="others")
    embedded.client("s3").put_object(Bucket="others", Key="source.zip", Body=archive(hello="hi"))
    codebuild = embedded.client("codebuild")
    build("reader", "version: 0.2\nphases: {build: {commands: ['true']}}")
    started = codebuild.start_build(
        projectName="reader", sourceLocationOverride="others/source.zip", sourceVersion="null"
    )["build"]

    def ended() -> dict[str, Any] | None:
        (found,) = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
        return found if found["buildComplete"] else None

    done = until(ended)
    (context,) = next(phase for phase in done["phases"] if phase["phaseType"] == "DOWNLOAD_SOURCE")["contexts"]
    assert "AccessDenied" in context["message"]


def test_the_end_of_a_build_is_an_event(
    build: Callable[..., dict[str, Any]], events: Callable[[str], Callable[..., Any]]
) -> None:
    received = events("aws.codebuild")
    done = build("told", "version: 0.2\nphases: {build: {commands: ['true']}}")
    event = received(lambda e: e["detail"]["project-name"] == "told" and e["detail"]["build-status"] == "SUCCEEDED")
    assert event["detail-type"] == "CodeBuild Build State Change"
    assert event["detail"]["build-id"] == done["arn"]
    assert event["detail"]["additional-information"]["source-version"] == done["sourceVersion"]


def test_a_build_pushes_an_image(build: Callable[..., dict[str, Any]], embedded: Any, repository: None) -> None:
    host = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    done = build(
        "image",
        f"""
version: 0.2
env:
  exported-variables: [DIGEST]
phases:
  pre_build:
    commands:
      - aws ecr get-login-password --region us-east-1 | docker login --username AWS --password-stdin {host}
  build:
    commands:
      - docker buildx build --provenance=false --platform linux/arm64 --label a=b -t {host}/app:$COMMIT .
      - docker push {host}/app:$COMMIT
      - export DIGEST="$(docker inspect --format '{{{{index .RepoDigests 0}}}}' {host}/app:$COMMIT)"
""",
        source=archive(Dockerfile="FROM python:3.13\nRUN pip install x\nCOPY hello /\n", hello="hi"),
    )
    assert done["buildStatus"] == "SUCCEEDED", log(embedded, done)
    (image,) = embedded.client("ecr").describe_images(repositoryName="app", imageIds=[{"imageTag": "abc"}])[
        "imageDetails"
    ]
    assert done["exportedEnvironmentVariables"] == [{"name": "DIGEST", "value": f"{host}/app@{image['imageDigest']}"}]
    assert "docker build: RUN pip install x" in embedded.recorded()["codebuild"]
