"""Calling a Lambda function and waiting for its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lockgate.errors import LockgateError


class FunctionError(LockgateError):
    """A function was called and failed; the message says of which function, and what it raised."""


def invoke(lambda_: Any, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """What a function answers. Raises FunctionError with its own message when it failed."""
    answer = lambda_.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    answered: dict[str, Any] = json.load(answer["Payload"])
    if "FunctionError" in answer:
        raise FunctionError(f"{function}: {answered.get('errorMessage', answered)}")
    return answered
