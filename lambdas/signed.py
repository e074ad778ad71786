"""What a person says over a Function URL with IAM authorization: who signed its proof is who said it (lockgate.proof).

Only sessions of the roles that environments/*.toml names are heard, and only of persons that environments/tools.toml
knows: lockgate.configuration.persons says whose name is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lambdas import shared
from lockgate import schema
from lockgate.configuration.environment import Environment
from lockgate.configuration.persons import Caller
from lockgate.errors import BusyError, ForbiddenError, RefusedError
from lockgate.proof import Audience, Proved
from lockgate.schema import Document

C = TypeVar("C")
Read = TypeVar("Read")


class AnswerRefusedError(RefusedError):
    """What a person said and is not taken, with the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(
    function: str,
    path: str,
    event: dict[str, Any],
    kind: type[C],
    take: Callable[[C, Caller], Document],
    roles: Callable[[Environment], Sequence[str]] = lambda environment: environment.approvers,
) -> dict[str, Any]:
    """The HTTP answer: what `take` makes of the call and its caller, or why it refused.

    function, path: of the URL that was called; a proof for another one is none.
    `roles` of an environment are those whose sessions are heard; `take` asks again about the one that it decides on.
    """
    try:
        signer = prove(event, shared.audience(function), path)
        caller = refuse_with(403, lambda: shared.caller(signer, roles))
        status, body = 200, schema.write(take(refuse_with(400, lambda: shared.call_of(event, kind)), caller))
    except AnswerRefusedError as refused:
        status, body = refused.status, {"message": str(refused)}
    shared.log(path or function, status=status, answer=body)
    return shared.url_answer(status, body)


def prove(event: dict[str, Any], audience: Audience, path: str) -> Proved:
    """Who signed the call. Its refusals are answers: 403, and 503 where STS could not be asked."""
    try:
        return refuse_with(400, lambda: shared.proved(event, audience, path))
    except BusyError as error:
        raise AnswerRefusedError(503, str(error)) from error


def refuse_with(status: int, read: Callable[[], Read]) -> Read:
    """What `read` finds; its refusal becomes an answer with this HTTP status, one of who asks always 403."""
    try:
        return read()
    except ForbiddenError as error:
        raise AnswerRefusedError(403, str(error)) from error
    except RefusedError as error:
        raise AnswerRefusedError(status, str(error)) from error
