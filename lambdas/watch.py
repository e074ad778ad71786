"""Compares a canary's errors with those of the release beside it, before each step; ECS waits for the answer.

Event of a lifecycle hook at PRE_PRODUCTION_TRAFFIC_SHIFT: {"resourceArn" (of the deployment), "executionDetails":
{"targetServiceRevisionArn", "productionTrafficWeights" (revision -> percent)}, "hookDetails": {"environment", "model",
"verdict_id", "step_minutes", "steps" and "false_alarm_rate" (numbers), "since" and "looks" (ours, from the last
answer)}, …}. The details are JSON, as text or not. They are what the deployment was started with, whatever is
configured since.

Before the first step the canary has no traffic yet, and the answer is {"hookStatus": "SUCCEEDED"} at once. Before every
other step it holds the deployment for step_minutes and looks each minute:
- It answers {"hookStatus": "IN_PROGRESS"} as long as nothing is wrong and the step lasts.
- It answers {"hookStatus": "FAILED"} as soon as the evidence that the canary fails more often reaches 1 over this
  step's share of false_alarm_rate. Then a finding in the bucket of releases says why.
- Looking often costs nothing, but each step begins without evidence (lockgate.statistics.canary).
- Without traffic there is no evidence. The deployment goes on, and its alarms watch too.
It raises what it cannot measure, and ECS then takes the deployment back.

Environment:
    ENVIRONMENT               whose load balancer it is; a deployment that does not say its environment is of this one
    LOAD_BALANCER             app/<name>/<id>, as metrics name it
Calls:
    cloudwatch:GetMetricData; ecs:DescribeServiceRevisions on service-revision/<cluster>/<service>/*
    s3:PutObject (If-None-Match: *) on <model>/findings/* of the buckets of releases of this balancer's environments
    kms:Decrypt, kms:GenerateDataKey on their key
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lambdas import shared
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.canary import groups_of, minutes_since
from lockgate.aws.hook_findings import hook_details, put_finding
from lockgate.release.hook_findings import HookFinding
from lockgate.statistics.canary import Minute, e_value

MINUTE_SECONDS = 60


@dataclass(frozen=True)
class Settings:
    environment: str
    load_balancer: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    details = hook_details(event, ("model", "verdict_id"), numbers=("step_minutes", "steps", "false_alarm_rate"))
    execution = event["executionDetails"]
    target, weights = execution["targetServiceRevisionArn"], execution["productionTrafficWeights"]
    if weights[target] == 0:  # a KeyError is an end too: without weights nobody knows which step this is
        return {"hookStatus": "SUCCEEDED"}
    since, looks = str(details.get("since") or shared.timestamp(shared.now())), int(details.get("looks", 0))
    (other,) = (revision for revision in weights if revision != target)
    groups = groups_of(clients.client("ecs"), (target, other))
    minutes = minutes_since(
        clients.client("cloudwatch"), settings.load_balancer, groups, datetime.fromisoformat(since), shared.now()
    )
    evidence = e_value(minutes)
    shared.log("watch", deployment=event["resourceArn"], looks=looks, evidence=evidence, counts=_counted(minutes))
    steps, rate = details["steps"], details["false_alarm_rate"]
    if evidence >= steps / rate:
        message = (
            f"canary: {_counted(minutes)}: evidence {evidence:.3g} that it fails more often, "
            f"expected below {steps / rate:g} (false alarm rate {rate:g}, steps {steps})"
        )
        finding = HookFinding(details["verdict_id"], False, message)
        environment = shared.environment(details.get("environment", settings.environment))
        bucket = names.releases_bucket(environment.name, environment.account, environment.region)
        put_finding(clients.client("s3"), bucket, details["model"], event["resourceArn"], finding)
        return {"hookStatus": "FAILED"}
    if looks >= details["step_minutes"]:
        return {"hookStatus": "SUCCEEDED"}
    kept = {**details, "since": since, "looks": looks + 1}
    return {"hookStatus": "IN_PROGRESS", "callBackDelay": MINUTE_SECONDS, "hookDetails": kept}


def _counted(minutes: list[Minute]) -> str:
    canary = f"{sum(m.canary_errors for m in minutes)} of {sum(m.canary_requests for m in minutes)}"
    other = f"{sum(m.other_errors for m in minutes)} of {sum(m.other_requests for m in minutes)}"
    return f"{canary} requests failed in the canary, {other} beside it"
