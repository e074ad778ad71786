"""What a person says over a Function URL with IAM authorization: who signed the request is who said it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from lambdas import shared
from lockgate import names
from lockgate.errors import RefusedError


class AnswerRefusedError(RefusedError):
    """What a person said and is not taken, with the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(
    name: str, event: dict[str, Any], take: Callable[[dict[str, Any], str, str], dict[str, Any]]
) -> dict[str, Any]:
    """The HTTP answer: what `take` makes of body, person and ARN, or why it refused."""
    try:
        person, arn = _person(event)
        status, body = 200, take(_read(event), person, arn)
    except AnswerRefusedError as refused:
        status, body = refused.status, {"message": str(refused)}
    shared.log(name, status=status, answer=body)
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def _person(event: dict[str, Any]) -> tuple[str, str]:
    """The session name of the approver role, and the ARN it came from; anybody else is refused."""
    try:
        arn = event["requestContext"]["authorizer"]["iam"]["userArn"]
    except (KeyError, TypeError):
        arn = ""
    role = f"arn:aws:sts::{shared.tools().account}:assumed-role/{names.APPROVER_ROLE}"
    match = re.fullmatch(re.escape(role) + r"/([\w+=,.@-]+)", arn, re.ASCII)
    if not match:
        raise AnswerRefusedError(403, f"found {arn or 'no identity'}, expected a session of {role}/<person>")
    return match[1], arn


def _read(event: dict[str, Any]) -> dict[str, Any]:
    text = event.get("body") or ""
    try:
        body = json.loads(base64.b64decode(text) if event.get("isBase64Encoded") else text)
    except ValueError as error:
        raise AnswerRefusedError(400, f"body: found something else ({error}), expected a JSON object") from error
    if not isinstance(body, dict):
        raise AnswerRefusedError(400, "body: expected an object")
    return body
