"""Changes what an environment serves; invoked only by the promotion workflow, through the environment's promote role.

Event: {"action": "start" | "status", "model", "release": {version, commit, package_arn, image, model_sha256,
policy_sha256, verdict_id}, "source": {bucket, key, version_id}, "token"}. token: one an attempt, letters, digits and
dashes, a letter first, 128 at most (CloudFormation takes the same token again for the same request and does nothing).
start answers {"status": "IN_PROGRESS"}; status answers {"status": "IN_PROGRESS" | "SUCCEEDED" | "FAILED", "reason",
"release" (all fields, as the stack pins it, or null), "url"}. url: where the model's /ping and /invocations are.
start raises BusyError (retry later: another update runs), NotFoundError (no release stack), RefusedError (never retry).

Environment:
    ENVIRONMENT         name of the environment
    RELEASES_BUCKET     its bucket of released model data (versioned)
    CLUSTER             name of its ECS cluster
    SERVICE_URL         https://<name of the load balancer>
    RELEASE_ROLE_ARN    names.release_cloudformation_role, which CloudFormation assumes
Calls:
    cloudformation:DescribeStacks, DescribeStackEvents, ListStackResources, UpdateStack
                              on stack/lockgate-<environment>-release-*/*
    iam:PassRole              on RELEASE_ROLE_ARN to cloudformation.amazonaws.com
    s3:ListBucket             on RELEASES_BUCKET; s3:GetObject, s3:PutObject (If-None-Match: *) on RELEASES_BUCKET/*
    s3:GetObjectVersion       on the tools models bucket's objects (its bucket policy must allow this role too)
    kms:Decrypt               on the key of the tools models bucket
    kms:Decrypt, kms:GenerateDataKey   on the key of RELEASES_BUCKET
    ecs:DescribeServices      on service/<cluster>/*
Needs temporary disk for the model data: lockgate.aws.deployments.LARGEST, which is what a function has by default.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lambdas import shared
from lockgate.aws import clients
from lockgate.aws.deployments import Deployments, copy_model, pins
from lockgate.errors import NotFoundError, RefusedError
from lockgate.release import PARAMETERS, read_release


@dataclass(frozen=True)
class Settings:
    environment: str
    releases_bucket: str
    cluster: str
    service_url: str
    release_role_arn: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    release = event.get("release")
    if not isinstance(release, dict) or set(release) != set(PARAMETERS) - {"model_version_id"}:
        raise RefusedError(f"release: found {release!r}, expected all fields but model_version_id")
    model, _ = shared.model_and_version({"model": event.get("model"), "version": release["version"]})
    deployments = Deployments(
        clients.client("cloudformation"),
        clients.client("ecs"),
        settings.environment,
        settings.cluster,
        settings.release_role_arn,
    )
    action = {"start": _start, "status": _status}.get(event.get("action", ""))
    if action is None:
        raise RefusedError(f"action: found {event.get('action')!r}, expected start or status")
    answer = action(settings, deployments, model, event)
    shared.log("deploy", action=event["action"], environment=settings.environment, model=model, answer=answer)
    return answer


def _start(settings: Settings, deployments: Deployments, model: str, event: dict[str, Any]) -> dict[str, Any]:
    stack = deployments.stack(model)
    if stack.updating and pins(stack, event["release"]):
        return {"status": "IN_PROGRESS"}  # this very release, started before
    sha256 = event["release"]["model_sha256"]
    version_id = copy_model(clients.client("s3"), event["source"], settings.releases_bucket, model, sha256)
    release = read_release({**event["release"], "model_version_id": version_id})
    deployments.update(stack, release, event["token"])
    return {"status": "IN_PROGRESS"}


def _status(settings: Settings, deployments: Deployments, model: str, event: dict[str, Any]) -> dict[str, Any]:
    url = f"{settings.service_url}/{model}"
    try:
        stack = deployments.stack(model)
    except NotFoundError as error:
        return {"status": "FAILED", "reason": str(error), "release": None, "url": url}
    progress = deployments.progress(stack, event["release"], event["token"])
    release = asdict(stack.release) if stack.release else None
    return {"status": progress.status, "reason": progress.reason, "release": release, "url": url}
