"""Carry a commit into AWS: its archive, its image, and an execution of each model's pipeline.

Every call may be repeated: an archive, an image or an execution that is there already is used, not made again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate import canonical, names
from lockgate.aws.attestations import Attestations
from lockgate.aws.training import Execution, name_of_commit, of_commit
from lockgate.clock import pause
from lockgate.errors import LockgateError
from lockgate.evidence.provenance import DIGEST_VARIABLE
from lockgate.gate.champion import ChampionNote, read_champion

POLL_SECONDS = 1.0
COMMIT = re.compile(r"[0-9a-f]{40}")
ATTESTED_WITHIN = 1200  # seconds: an event, a queue, a small machine that starts, and a minute of work


class BuildError(LockgateError):
    """The build of an image did not succeed."""


@dataclass(frozen=True)
class Image:
    """An image in ECR: the commit it was built from and its URI with digest."""

    commit: str
    uri: str

    @property
    def digest(self) -> str:
        return self.uri.rpartition("@")[2]


def find_image(ecr: Any, repository: str, repository_uri: str, commit: str) -> Image | None:
    """The image tagged with a commit; tags are immutable, so there is at most one ever."""
    try:
        described = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": commit}])
    except ecr.exceptions.ImageNotFoundException:
        return None
    return Image(commit, f"{repository_uri}@{described['imageDetails'][0]['imageDigest']}")


def commit_of_image(ecr: Any, repository: str, uri: str) -> str:
    """The commit that an image was built from: its tag. "" where the image is gone or has none."""
    digest = uri.rpartition("@")[2]
    try:
        found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    except ecr.exceptions.ImageNotFoundException:
        return ""
    return next((str(tag) for tag in found["imageDetails"][0].get("imageTags", []) if COMMIT.fullmatch(tag)), "")


def build_image(
    codebuild: Any, project: str, source: str, commit: str, *, said: Callable[[str], None] = lambda phase: None
) -> None:
    """Run a build project on an archive (`bucket/key`) and wait for it. Raises BuildError with the failed phase."""
    started = codebuild.start_build(
        projectName=project,
        sourceLocationOverride=source,
        environmentVariablesOverride=[{"name": "COMMIT", "value": commit, "type": "PLAINTEXT"}],
    )["build"]
    phase = ""
    while True:
        build = codebuild.batch_get_builds(ids=[started["id"]])["builds"][0]
        if build.get("currentPhase", phase) != phase:
            phase = build["currentPhase"]
            said(phase)
        if build["buildStatus"] != "IN_PROGRESS":
            break
        pause(POLL_SECONDS)
    if build["buildStatus"] != "SUCCEEDED":
        raise BuildError(f"build {build['id']}: {build['buildStatus']}: {_why(build)}")


def start_attestation(codebuild: Any, build_id: str, token: str) -> None:
    """Have the image vouched for that a build of ours pushed; the same token again starts nothing more."""
    codebuild.start_build(
        projectName=names.ATTESTATION_PROJECT,
        environmentVariablesOverride=[{"name": "BUILD", "value": build_id, "type": "PLAINTEXT"}],
        idempotencyToken=token,
    )


def build_with(codebuild: Any, build_id: str) -> list[dict[str, Any]]:
    """The build with this id, as CodeBuild describes it; none where it knows of none."""
    described: list[dict[str, Any]] = codebuild.batch_get_builds(ids=[build_id])["builds"]
    return described


def recent_builds(codebuild: Any, project: str) -> list[dict[str, Any]]:
    """The newest builds of a project, newest first, a hundred at most."""
    ids = codebuild.list_builds_for_project(projectName=project, sortOrder="DESCENDING").get("ids", [])[:100]
    described = codebuild.batch_get_builds(ids=ids)["builds"] if ids else []
    return sorted(described, key=lambda build: build["startTime"], reverse=True)


def commit_of_build(build: Mapping[str, Any]) -> str:
    """The commit that a build was started for; "" when it was started for none."""
    return _variable(build["environment"].get("environmentVariables", []), "COMMIT")


def pushed_by(build: Mapping[str, Any]) -> str:
    """Digest of the image that a build pushed; "" when it pushed none."""
    return _variable(build.get("exportedEnvironmentVariables", []), DIGEST_VARIABLE)


def _variable(variables: list[dict[str, str]], name: str) -> str:
    return next((entry["value"] for entry in variables if entry["name"] == name), "")


def ended_badly(codebuild: Any, project: str, variable: str = "COMMIT") -> list[dict[str, str]]:
    """The newest build of each commit (or of what else `variable` names), where it did not succeed and does not run."""
    newest: dict[str, dict[str, Any]] = {}
    for build in recent_builds(codebuild, project):
        newest.setdefault(_variable(build["environment"].get("environmentVariables", []), variable), build)
    return [
        {"of": of, "project": project, "build": build["id"], "status": build["buildStatus"], "reason": _why(build)}
        for of, build in newest.items()
        if build["buildStatus"] not in ("SUCCEEDED", "IN_PROGRESS")
    ]


def build_of(codebuild: Any, commit: str) -> str:
    """How far the image of a commit is, in words; "" where it was never built."""
    for build in recent_builds(codebuild, names.IMAGE_PROJECT):
        if commit_of_build(build) == commit:
            status = build["buildStatus"]
            why = f": {_why(build)}" if status not in ("SUCCEEDED", "IN_PROGRESS") else ""
            return f"its image's build {build['id']} is {status}{why}"
    return ""


def how_built(codebuild: Any, image: Image) -> str:
    """Digest of how an image was built: machine, base image, builder and commands, as CodeBuild keeps them.

    Of an image that no recent build pushed it is known of no other image that it was built alike.
    """
    for build in recent_builds(codebuild, names.IMAGE_PROJECT):
        if commit_of_build(build) == image.commit and pushed_by(build) == image.digest:
            environment = build["environment"]
            given = {entry["name"]: entry["value"] for entry in environment.get("environmentVariables", [])}
            how = {
                "machine": environment.get("image", ""),
                "variables": {name: value for name, value in given.items() if name != "COMMIT"},
                "commands": build["source"].get("buildspec", ""),
            }
            return canonical.sha256(canonical.to_bytes(how))
    return image.digest


def refuse_foreign(codebuild: Any, project: str, image: Image) -> None:
    """Raise BuildError when none of the project's recent builds of the commit pushed what its tag holds."""
    builds = [build for build in recent_builds(codebuild, project) if commit_of_build(build) == image.commit]
    if not any(pushed_by(build) == image.digest for build in builds):
        raise BuildError(
            f"tag {image.commit} holds {image.digest}, which none of the last builds of {project} pushed for this "
            "commit: somebody else did, and tags are written once; no gate will pass this image. Find out who, then "
            "deliver a new commit"
        )


def wait_attested(images: Attestations, image: Image, within: float = ATTESTED_WITHIN) -> None:
    """Wait until provenance stands beside an image. Raises BuildError when it does not come."""
    deadline = time.monotonic() + within
    while not images.attested(image.digest):
        if time.monotonic() > deadline:
            raise BuildError(
                f"image {image.digest} was pushed, but nothing vouched for it within {within:.0f} s; see the builds of "
                f"{names.ATTESTATION_PROJECT}. It is tried again regularly; deliver the commit again to go on"
            )
        pause(POLL_SECONDS)


def _why(build: Mapping[str, Any]) -> str:
    reasons = []
    for phase in build.get("phases", []):
        if phase.get("phaseStatus") not in (None, "SUCCEEDED"):
            said = [context["message"] for context in phase.get("contexts", []) if context.get("message")]
            reasons += [f"{phase['phaseType']}: {text}" for text in said or [phase["phaseStatus"]]]
    logs = build.get("logs", {})
    return f"{'; '.join(reasons) or 'no reason given'} (log: {logs.get('groupName')} {logs.get('streamName')})"


@dataclass(frozen=True)
class Snapshots:
    """The data snapshots of a model: ids of the published, oldest first, and the digests of each one's columns."""

    published: tuple[str, ...]
    columns: Mapping[str, Sequence[str]]


def snapshots(s3: Any, bucket: str, model: str) -> Snapshots:
    """What is published for a model."""
    prefix = names.snapshot_prefix(model, "")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [
        (str(each["Key"]).removeprefix(prefix), each["LastModified"])
        for page in pages
        for each in page.get("Contents", [])
    ]
    manifests = sorted((when, key) for key, when in found if key.endswith("/manifest.json"))
    columns: dict[str, list[str]] = {}
    for snapshot, kind, *digest in (key.split("/") for key, _ in found):
        if kind == names.COLUMNS:
            columns.setdefault(snapshot, []).extend(digest)
    return Snapshots(tuple(key.split("/")[0] for _, key in manifests), columns)


def training_rows(s3: Any, bucket: str, model: str, snapshot: str) -> bytes:
    """The Parquet file of a snapshot's training rows."""
    key = f"{names.snapshot_prefix(model, snapshot)}/train/train.parquet"
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def chosen_snapshots(s3: Any, bucket: str, model: str) -> list[str]:
    """Ids of the snapshots that persons chose for training, oldest first; one may be there more than once."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=names.chosen_prefix(model))
    keys = sorted(str(found["Key"]) for page in pages for found in page.get("Contents", []))
    return [key.rpartition("/")[2] for key in keys]


def find_champion(s3: Any, bucket: str, model: str) -> ChampionNote | None:
    """What is served, as the recorder of deployments noted it; None when nothing is yet."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=names.champion_prefix(model))
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    if not keys:
        return None
    return read_champion(s3.get_object(Bucket=bucket, Key=max(keys))["Body"].read())


def start_training(
    sagemaker: Any,
    model: str,
    image: Image,
    snapshot: str,
    actor: str,
    fingerprint: str,
    known: Sequence[Execution],
    *,
    champion: ChampionNote | None,
    data: str,
) -> str:
    """ARN of a new execution of a model's pipeline; the same again after the same executions gives the same one.

    known: the pipeline's executions, newest first. Without a champion the manifest of the snapshot, which exists,
    stands where its model would be (data: the bucket).
    """
    champion_image = champion.image if champion else image.uri
    champion_model = (
        champion.model_data_uri if champion else f"s3://{data}/{names.snapshot_prefix(model, snapshot)}/manifest.json"
    )
    newest = known[0].arn if known else ""
    request = f"{model} {image.digest} {snapshot} {champion_image} {champion_model} {fingerprint} {newest}"
    started = sagemaker.start_pipeline_execution(
        PipelineName=names.pipeline(model),
        PipelineExecutionDisplayName=display_name(image.commit, known),
        PipelineParameters=[
            {"Name": "Commit", "Value": image.commit},
            {"Name": "Image", "Value": image.uri},
            {"Name": "Snapshot", "Value": snapshot},
            {"Name": "Actor", "Value": actor},
            {"Name": "ChampionImage", "Value": champion_image},
            {"Name": "ChampionModel", "Value": champion_model},
            {"Name": "Fingerprint", "Value": fingerprint},
        ],
        ClientRequestToken=canonical.sha256(request.encode()),
    )
    return str(started["PipelineExecutionArn"])


def display_name(commit: str, known: Sequence[Execution]) -> str:
    """How an execution is found again from its commit; executions of one commit are numbered."""
    return f"{name_of_commit(commit)}{1 + len(of_commit(known, commit))}"
