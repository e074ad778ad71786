"""Lifecycle hooks of a deployment: ECS invokes a function at a stage, with the hook's role, until it says how it went.

The event and the answer are those of AWS: hookStatus SUCCEEDED, FAILED, or IN_PROGRESS with a callBackDelay (30 s
unless given) and hookDetails that come back with the next invocation. Anything else fails the deployment, and so does a
hook that has no end within its timeout (24 hours unless given).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ministack.core.responses import new_uuid, request_scope
from ministack.services import lambda_svc, stepfunctions

from local.clock import CLOCK
from local.elbv2 import targets
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

# (condition, seconds, complaint, when the condition may have come true): waits while the service is tended, and raises
# when something speaks against going on.
Wait = Callable[[Callable[[], bool], float, str, float | None], None]


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
    details, until = _details(hook.get("hookDetails")), CLOCK.now() + minutes * 60
    while True:
        sent = {**event, "executionDetails": execution, **({"hookDetails": details} if details is not None else {})}
        pending = _pool.submit(CLOCK.counted(_invoke, f"hook {name}"), hook, sent, deployment)
        pending.add_done_callback(lambda _: targets.changes.happened())
        wait(pending.done, minutes * 60, f"waited for the lifecycle hook {name} at {stage}", None)
        answer = _answer(pending, name, stage)
        if answer["hookStatus"] == "SUCCEEDED":
            return
        if answer["hookStatus"] == "FAILED":
            raise HookError(f"lifecycle hook {name} at {stage} failed")
        details = answer.get("hookDetails", details)
        next_turn = CLOCK.now() + float(answer.get("callBackDelay", _DELAY))
        if next_turn > until:
            raise HookError(f"lifecycle hook {name} at {stage} timed out after {minutes:.0f} minutes")
        wait(_passed(next_turn), minutes * 60, "waited for a lifecycle hook's next turn", next_turn)


def _passed(moment: float) -> Callable[[], bool]:
    return lambda: CLOCK.now() >= moment


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
