"""Carry a commit into AWS: its archive, its image, and an execution of each model's pipeline.

Every call may be repeated: an archive, an image or an execution that is there already is used, not made again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lockgate import canonical, names
from lockgate.champion import Champion, read_champion
from lockgate.errors import LockgateError, NotFoundError

POLL_SECONDS = 1.0


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


def put_once(s3: Any, bucket: str, key: str, data: bytes) -> bool:
    """Put an object where none is yet; False when there is one already."""
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", ChecksumAlgorithm="SHA256")
    except ClientError as error:
        if error.response["Error"]["Code"] == "PreconditionFailed":
            return False
        raise
    return True


def find_image(ecr: Any, repository: str, repository_uri: str, commit: str) -> Image | None:
    """The image tagged with a commit; tags are immutable, so there is at most one ever."""
    try:
        found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": commit}])
    except ecr.exceptions.ImageNotFoundException:
        return None
    return Image(commit, f"{repository_uri}@{found['imageDetails'][0]['imageDigest']}")


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
        time.sleep(POLL_SECONDS)
    if build["buildStatus"] != "SUCCEEDED":
        raise BuildError(f"build {build['id']}: {build['buildStatus']}: {_why(build)}")


def _why(build: Mapping[str, Any]) -> str:
    reasons = [
        f"{phase['phaseType']}: {context.get('message', '')}"
        for phase in build.get("phases", [])
        for context in phase.get("contexts", [])
        if phase.get("phaseStatus") not in (None, "SUCCEEDED")
    ]
    logs = build.get("logs", {})
    return f"{'; '.join(reasons) or 'no reason given'} (log: {logs.get('groupName')} {logs.get('streamName')})"


def newest_snapshot(s3: Any, bucket: str, model: str) -> str:
    """Id of the data snapshot published last for a model. Raises NotFoundError when there is none."""
    prefix = f"{names.snapshot_prefix(model, '')}"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    manifests = [
        found for page in pages for found in page.get("Contents", []) if found["Key"].endswith("/manifest.json")
    ]
    if not manifests:
        raise NotFoundError(f"model {model}: no data snapshot is published; run `lockgate snapshot --model {model}`")
    newest = max(manifests, key=lambda found: (found["LastModified"], found["Key"]))
    return str(newest["Key"]).removeprefix(prefix).split("/")[0]


def find_champion(s3: Any, bucket: str, model: str) -> Champion | None:
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
    attempt: int,
    *,
    champion: Champion | None,
    data: str,
) -> str:
    """ARN of the execution of a model's pipeline; the same inputs, champion and attempt give the same execution.

    Without a champion the manifest of the snapshot, which exists, stands where its model would be (data: the bucket).
    """
    champion_image = champion.image if champion else image.uri
    champion_model = (
        champion.model_data_uri if champion else f"s3://{data}/{names.snapshot_prefix(model, snapshot)}/manifest.json"
    )
    request = f"{model} {image.digest} {snapshot} {champion_image} {champion_model} {attempt}"
    started = sagemaker.start_pipeline_execution(
        PipelineName=names.pipeline(model),
        PipelineExecutionDisplayName=display_name(image.commit, attempt),
        PipelineParameters=[
            {"Name": "Commit", "Value": image.commit},
            {"Name": "Image", "Value": image.uri},
            {"Name": "Snapshot", "Value": snapshot},
            {"Name": "Actor", "Value": actor},
            {"Name": "ChampionImage", "Value": champion_image},
            {"Name": "ChampionModel", "Value": champion_model},
        ],
        ClientRequestToken=canonical.sha256(request.encode()),
    )
    return str(started["PipelineExecutionArn"])


def display_name(commit: str, attempt: int) -> str:
    """How an execution is found again from its commit."""
    return f"commit-{commit[:12]}-{attempt}"
