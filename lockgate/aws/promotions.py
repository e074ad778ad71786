"""Starting the promotion workflow, and what Step Functions knows about the attempts to promote a version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code
from lockgate.release import reconcile
from lockgate.release.workflow import Promotion

WAITS_NO_MORE = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")


class PastGate(NamedTuple):
    """The one environment that a promotion past its gate goes to, and the record that says who wants it and why."""

    environment: str
    break_glass: str


@dataclass(frozen=True)
class LastRun:
    """One execution of the promotion workflow; status as Step Functions has it: RUNNING, SUCCEEDED, FAILED, ..."""

    attempt: int
    name: str
    status: str
    reason: str


def start(
    stepfunctions: Any,
    state_machine_arn: str,
    name: str,
    model: str,
    version: int,
    package_arn: str,
    *,
    past_gate: PastGate | None = None,
) -> bool:
    """Start the workflow for a version; False when this execution was started before: its name is the lock.

    name: names.promotion_execution and its like. past_gate: where a person puts the version into one environment
    past its gate; nothing but the function of that door gives it.
    """
    promotion = Promotion(
        model=model,
        version=str(version),
        package_arn=package_arn,
        environment=past_gate.environment if past_gate else None,
        break_glass=past_gate.break_glass if past_gate else None,
    )
    try:
        stepfunctions.start_execution(stateMachineArn=state_machine_arn, name=name, input=promotion.to_text())
    except ClientError as error:
        if code(error) != "ExecutionAlreadyExists":
            raise
        return False
    return True


def wake(stepfunctions: Any, task_token: str, decision: str) -> bool:
    """Hand a decision to the workflow that waits for it; False when it waits no more: it went on, or ended."""
    try:
        stepfunctions.send_task_success(taskToken=task_token, output=json.dumps({"decision": decision}))
    except ClientError as error:
        if code(error) not in WAITS_NO_MORE:
            raise
        return False
    return True


def attempts(stepfunctions: Any, state_machine_arn: str, *, since: datetime) -> tuple[reconcile.PromotionRun, ...]:
    """Every execution that started since then, of all models, newest first."""
    begun: list[reconcile.PromotionRun] = []
    for page in stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn):
        for entry in page["executions"]:  # newest first
            if entry["startDate"] < since:
                return tuple(begun)
            begun.append(reconcile.PromotionRun(entry["name"], entry["status"], entry["startDate"].isoformat()))
    return tuple(begun)


def status_of(stepfunctions: Any, state_machine_arn: str, name: str) -> str | None:
    """An execution's status, as Step Functions has it; None when it knows none of this name."""
    for page in stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn):
        for entry in page["executions"]:
            if entry["name"] == name:
                return str(entry["status"])
    return None


def last_attempt(
    stepfunctions: Any, state_machine_arn: str, model: str, version: int, waivers: Sequence[int] = ()
) -> LastRun | None:
    """The newest attempt to promote a version, or None when there was none; `attempt` is the last that has a number.

    waivers: numbers in the ledger of those of this version, each of which started an execution of its own.
    """
    executions: list[tuple[datetime, str, str, str]] = []
    for number in count(1):
        described = _described(stepfunctions, state_machine_arn, names.promotion_execution(model, version, number))
        if described is None:
            break
        executions.append(described)
    numbered = len(executions)
    for sequence in waivers:
        described = _described(stepfunctions, state_machine_arn, names.waiver_execution(model, version, sequence))
        executions += [described] if described else []
    if not executions:
        return None
    _, name, status, reason = max(executions, key=lambda each: each[0])
    return LastRun(numbered, name, status, reason)


def _described(stepfunctions: Any, machine: str, name: str) -> tuple[datetime, str, str, str] | None:
    """When it started, name, status and reason of an execution; None when there is none."""
    try:
        answer = stepfunctions.describe_execution(
            executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        )
    except ClientError as error:
        if code(error) == "ExecutionDoesNotExist":
            return None
        raise
    return answer["startDate"], name, answer["status"], f"{answer.get('error', '')} {answer.get('cause', '')}".strip()
