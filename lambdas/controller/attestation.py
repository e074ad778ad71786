"""Has each image vouched for that a build of ours pushed: once, whatever event was lost or came twice.

Event: EventBridge "CodeBuild Build State Change"; or of a schedule {"action": "attest"}, for every build of the last
day whose image nobody vouched for. What failed before is tried again.
Answer: {"started": [ids of builds], "handled": [ids of builds]}.

The attestation project decides what is signed, from CodeBuild's own record and not from what is passed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lambdas import shared
from lockgate import canonical
from lockgate.aws import clients
from lockgate.aws.attestation_job import PRODUCTS
from lockgate.aws.attestations import Attestations
from lockgate.aws.delivery import build_with, pushed_by, recent_builds, start_attestation

EVENT = "CodeBuild Build State Change"
LOOK_BACK = timedelta(days=1)
MINUTE = len("2026-01-01T00:00")


@dataclass(frozen=True)
class Settings:
    account: str


def handler(event: dict[str, Any], context: object) -> dict[str, list[str]]:
    settings = shared.settings(Settings)
    codebuild, ecr = clients.client("codebuild"), clients.client("ecr")
    answer: dict[str, list[str]] = {"started": [], "handled": []}
    for build in _builds(codebuild, event):
        product = PRODUCTS.get(build["projectName"])
        digest = pushed_by(build)
        if product is None or build["buildStatus"] != "SUCCEEDED" or not digest:
            continue
        if Attestations(ecr, settings.account, product.repository).attested(digest):
            answer["handled"].append(build["id"])
            continue
        # The same event again starts nothing more; the next look does.
        token = canonical.sha256(f"{build['id']} {event.get('id') or shared.timestamp(shared.now())[:MINUTE]}".encode())
        start_attestation(codebuild, build["id"], token)
        answer["started"].append(build["id"])
    shared.log("attest", source=event.get("detail-type"), **answer)
    return answer


def _builds(codebuild: Any, event: dict[str, Any]) -> list[dict[str, Any]]:
    if event.get("detail-type") == EVENT:
        return build_with(codebuild, str(event["detail"]["build-id"]).rpartition("/")[2])  # the event has the ARN
    since = shared.now() - LOOK_BACK
    builds = [build for project in PRODUCTS for build in recent_builds(codebuild, project)]
    return [build for build in builds if build["startTime"] > since]
