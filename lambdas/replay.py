"""Asks new tasks, through the test listener, for the rows that evaluation recorded; ECS waits for the answer.

Event of a lifecycle hook at POST_TEST_TRAFFIC_SHIFT: {"resourceArn" (of the deployment), "hookDetails":
{"environment", "model", "version", "verdict_id", "replay_sha256", "attempt" (ours, from the last answer)}, …}. The
details are JSON, as text or not. It answers
- {"hookStatus": "SUCCEEDED"} when every prediction is within the environment's limit of evaluation's and the answer is
  the release's own;
- {"hookStatus": "IN_PROGRESS", …} for a few attempts, while the listener leads elsewhere or nobody answers;
- {"hookStatus": "FAILED"} otherwise. Then a finding in the bucket of releases says why, and the deploy function
  reads it.

Environment:
    ENVIRONMENT               whose load balancer it is; a deployment that does not say its environment is of this one
    BALANCER, BALANCER_PORT   where the test listener is
Calls:
    s3:ListBucket on the buckets of releases of the environments of this load balancer; s3:GetObject on
    <model>/replays/*; s3:PutObject (If-None-Match: *) on <model>/findings/*
    kms:Decrypt, kms:GenerateDataKey on their key
It needs a way to the load balancer, and to S3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.evidence import read
from lockgate.aws.hook_findings import hook_details, put_finding
from lockgate.aws.invocations import UnansweredError, predictions
from lockgate.configuration.environment import Environment
from lockgate.errors import EvidenceError
from lockgate.release.hook_findings import HookFinding
from lockgate.release.replay import Parity, compare, read_rows

ATTEMPTS, AGAIN_SECONDS = 6, 10


@dataclass(frozen=True)
class Settings:
    environment: str
    balancer: str
    balancer_port: int


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    details = hook_details(event, ("model", "version", "verdict_id", "replay_sha256"))
    attempt = int(details.get("attempt", 1))
    environment = shared.environment(details.get("environment", settings.environment))
    bucket = names.releases_bucket(environment.name, environment.account, environment.region)
    try:
        parity = _replay(settings, environment, bucket, details)
    except UnansweredError as error:
        if attempt < ATTEMPTS:
            again = {**details, "attempt": attempt + 1}
            return {"hookStatus": "IN_PROGRESS", "callBackDelay": AGAIN_SECONDS, "hookDetails": again}
        parity = Parity(False, f"replay: {error}, {attempt} times")
    except EvidenceError as error:
        parity = Parity(False, str(error))
    finding = HookFinding(details["verdict_id"], parity.passed, parity.message)
    put_finding(clients.client("s3"), bucket, details["model"], event["resourceArn"], finding)
    shared.log("replay", deployment=event["resourceArn"], passed=parity.passed, found=parity.message)
    return {"hookStatus": "SUCCEEDED" if parity.passed else "FAILED"}


def _replay(settings: Settings, environment: Environment, bucket: str, details: dict[str, Any]) -> Parity:
    model = details["model"]
    key = names.replay_key(model, details["replay_sha256"])
    data = read(clients.client("s3"), bucket, f"s3://{bucket}/{key}")
    if data is None:
        raise EvidenceError(f"recorded rows: s3://{bucket}/{key} is gone")
    rows = read_rows(data, details["replay_sha256"])
    answer = predictions(
        address=(settings.balancer, settings.balancer_port),
        certified=environment.host or settings.balancer,
        path=f"/{model}/invocations",
        instances=rows.instances,
    )
    found = answer.get("release")
    served = found.get("verdict_id") if isinstance(found, dict) else None
    if served != details["verdict_id"]:
        raise UnansweredError(f"the test listener leads to {found}, expected verdict {details['verdict_id']}")
    limit = environment.rollout.replay_difference
    return compare(rows, answer.get("predictions"), limit)
