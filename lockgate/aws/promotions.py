"""Starting the promotion workflow, and what Step Functions knows about the attempts to promote a version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from lockgate import canonical, names, reconcile
from lockgate.aws.clients import code


@dataclass(frozen=True)
class Attempt:
    """One execution of the promotion workflow; status as Step Functions has it: RUNNING, SUCCEEDED, FAILED, ..."""

    attempt: int
    name: str
    status: str
    reason: str


def start(stepfunctions: Any, state_machine_arn: str, name: str, model: str, version: int, package_arn: str) -> bool:
    """Start the workflow for a version; False when this execution was started before: its name is the lock."""
    event = {"model": model, "version": str(version), "package_arn": package_arn}
    try:
        stepfunctions.start_execution(
            stateMachineArn=state_machine_arn, name=name, input=canonical.to_bytes(event).decode()
        )
    except ClientError as error:
        if code(error) != "ExecutionAlreadyExists":
            raise
        return False
    return True


def stop(stepfunctions: Any, state_machine_arn: str, name: str, why: str) -> None:
    """Stop an execution that waits in vain; one that has ended stays as it is."""
    arn = f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    stepfunctions.stop_execution(executionArn=arn, error="Resumed", cause=why)


def attempts(stepfunctions: Any, state_machine_arn: str, *, since: datetime) -> tuple[reconcile.Attempt, ...]:
    """Every execution that started since then, of all models, newest first."""
    found: list[reconcile.Attempt] = []
    for page in stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn):
        for entry in page["executions"]:  # newest first
            if entry["startDate"] < since:
                return tuple(found)
            found.append(reconcile.Attempt(entry["name"], entry["status"], entry["startDate"].isoformat()))
    return tuple(found)


def last_attempt(stepfunctions: Any, state_machine_arn: str, model: str, version: int) -> Attempt | None:
    """The newest attempt to promote a version, or None when there was none."""
    found = None
    for number in count(1):
        name = names.promotion_execution(model, version, number)
        arn = f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            described = stepfunctions.describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return found
            raise
        reason = f"{described.get('error', '')} {described.get('cause', '')}".strip()
        found = Attempt(number, name, described["status"], reason)
    return found
