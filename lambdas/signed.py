"""What a person says over a Function URL with IAM authorization: who signed the request is who said it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from lambdas import shared
from lockgate import names
from lockgate.errors import RefusedError

Read = TypeVar("Read")


class AnswerRefusedError(RefusedError):
    """What a person said and is not taken, with the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(
    name: str,
    event: dict[str, Any],
    fields: Collection[str],
    take: Callable[[dict[str, Any], str, str], dict[str, Any]],
) -> dict[str, Any]:
    """The HTTP answer: what `take` makes of body, person and ARN, or why it refused.

    Only a session of the approver role is heard, and only a body without other fields.
    """
    try:
        person, arn = _or(403, lambda: shared.session_of(event, shared.tools().account, names.APPROVER_ROLE))
        status, body = 200, take(_or(400, lambda: shared.url_body(event, fields)), person, arn)
    except AnswerRefusedError as refused:
        status, body = refused.status, {"message": str(refused)}
    shared.log(name, status=status, answer=body)
    return shared.url_answer(status, body)


def _or(status: int, read: Callable[[], Read]) -> Read:
    """What `read` finds; its refusal becomes an answer with this HTTP status."""
    try:
        return read()
    except RefusedError as error:
        raise AnswerRefusedError(status, str(error)) from error
