"""Lifecycle hooks of a deployment: ECS invokes a function at a stage, with the hook's role, until it says how it went.

The event and the answer are those of AWS: hookStatus SUCCEEDED, FAILED, or IN_PROGRESS with a callBackDelay (30 s
unless given) and hookDetails that come back with the next invocation. Anything else fails the deployment, and so does a
hook that has no end within its timeout (24 hours unless given). Against that only the waits count which the hook asks
for, as long as they would be on AWS: work takes the time it takes here, and a busy machine is no reason to go back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ministack.core.responses import new_uuid, request_scope
from ministack.services import lambda_svc, stepfunctions

from local.clock import scaled
from local.iam import roles

STAGES = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
)
_DELAY = 30.0
_TIMEOUT_MINUTES = 24 * 60
_pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="ecs-hook")

# (condition, seconds, complaint): waits while the service is tended, and raises when something speaks against going on.
Wait = Callable[[Callable[[], bool], float, str], None]


class HookError(Exception):
    """A hook stopped the deployment; the message is the end of its rolloutStateReason."""


def run(service: Mapping[str, Any], stage: str, execution: Mapping[str, Any], deployment: str, wait: Wait) -> None:
    """Invoke each hook of a stage, one after the other, to its end. Raises HookError, RoleRefusedError.

    execution: the event's executionDetails; deployment: ARN of the service deployment.
    """
    configuration = service.get("deploymentConfiguration") or {}
    for hook in configuration.get("lifecycleHooks") or []:
        if stage in hook["lifecycleStages"]:
            _run(hook, stage, execution, deployment, wait)


def _run(hook: Mapping[str, Any], stage: str, execution: Mapping[str, Any], deployment: str, wait: Wait) -> None:
    name = hook["hookTargetArn"].rpartition(":")[2]
    minutes = float((hook.get("timeoutConfiguration") or {}).get("timeoutInMinutes") or _TIMEOUT_MINUTES)
    event = {"executionId": new_uuid(), "lifecycleStage": stage, "resourceArn": deployment}
    details, waited = _details(hook.get("hookDetails")), 0.0
    while True:
        sent = {**event, "executionDetails": execution, **({"hookDetails": details} if details is not None else {})}
        pending = _pool.submit(_invoke, hook, sent, deployment)
        wait(pending.done, minutes * 60, f"waited for the lifecycle hook {name} at {stage}")
        answer = _answer(pending, name, stage)
        if answer["hookStatus"] == "SUCCEEDED":
            return
        if answer["hookStatus"] == "FAILED":
            raise HookError(f"lifecycle hook {name} at {stage} failed")
        details = answer.get("hookDetails", details)
        delay = float(answer.get("callBackDelay", _DELAY))
        waited += delay
        if waited > minutes * 60:
            raise HookError(f"lifecycle hook {name} at {stage} timed out after {minutes:.0f} minutes")
        wait(_passed(scaled(delay)), minutes * 60, "waited for a lifecycle hook's next turn")


def _passed(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def _details(given: Any) -> Any:
    return json.loads(given) if isinstance(given, str) else given


def _invoke(hook: Mapping[str, Any], event: Mapping[str, Any], deployment: str) -> Any:
    """As ECS: assume the hook's role, ask IAM, invoke and wait."""
    target = hook["hookTargetArn"]
    account, region = target.split(":")[4], target.split(":")[3]
    with request_scope(account, region):
        assumed = roles.assume(hook["roleArn"], "ecs.amazonaws.com", "ecs-hook", {"aws:SourceArn": deployment})
        policy = json.dumps(lambda_svc.function_policy_for_arn(target)[0] or {})
        if not roles.allowed(assumed["AWS_ACCESS_KEY_ID"], "lambda:InvokeFunction", target, policy, account):
            raise roles.RoleRefusedError(f"{hook['roleArn']} may not invoke {target}")
        return stepfunctions._call_lambda(target, json.loads(json.dumps(event)))


def _answer(pending: Future[Any], name: str, stage: str) -> Mapping[str, Any]:
    try:
        answer = pending.result()
    except roles.RoleRefusedError:
        raise
    except Exception as error:
        raise HookError(f"lifecycle hook {name} at {stage} ended with an error: {error}") from error
    if not isinstance(answer, dict) or answer.get("hookStatus") not in ("SUCCEEDED", "FAILED", "IN_PROGRESS"):
        raise HookError(f"lifecycle hook {name} at {stage} answered without a valid hookStatus: {answer!r}")
    return answer
