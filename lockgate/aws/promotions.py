"""What Step Functions knows about the attempts to promote a version."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from lockgate import names


@dataclass(frozen=True)
class Attempt:
    """One execution of the promotion workflow; status as Step Functions has it: RUNNING, SUCCEEDED, FAILED, ..."""

    attempt: int
    name: str
    status: str
    reason: str


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
