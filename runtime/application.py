"""The HTTP interface of a served model, as a bare ASGI application: GET ping, POST invocations.

Both answer at the root and below /<model>/, the path by which the load balancer routes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lockgate import canonical
from lockgate.config import Model
from lockgate.errors import EvidenceError
from runtime.contract import Violation, first_violation, shown

MAXIMUM_ROWS = 10_000
MAXIMUM_BYTES = 16 * 1024**2

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Release:
    """What every answer names, so that a prediction can be traced."""

    version: str
    commit: str
    verdict_id: str


class Application:
    """`predict` maps instances that keep the data contract to one score each."""

    def __init__(
        self, model: Model, release: Release, predict: Callable[[Sequence[Mapping[str, Any]]], list[float]]
    ) -> None:
        self._model, self._release, self._predict = model, release, predict
        ways: dict[str, tuple[str, Callable[[Message, Receive], Awaitable[_Answer]]]] = {
            "/ping": ("GET", self._ping),
            "/invocations": ("POST", self._invocations),
        }
        self._ways = {prefix + path: way for path, way in ways.items() for prefix in ("", f"/{model.name}")}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answer = await self._route(scope, receive)
        body = json.dumps(answer.document, allow_nan=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, *answer.headers]})
        await send({"type": "http.response.body", "body": body})

    async def _route(self, scope: Message, receive: Receive) -> _Answer:
        if scope["path"] not in self._ways:
            return _refusal(404, f"path {shown(scope['path'])}", f"one of {', '.join(sorted(self._ways))}")
        method, way = self._ways[scope["path"]]
        if scope["method"] != method:
            return _refusal(405, f"method {scope['method']}", method, [(b"allow", method.encode())])
        return await way(scope, receive)

    async def _ping(self, scope: Message, receive: Receive) -> _Answer:
        return _Answer(200, {"model": self._model.name, "release": asdict(self._release)})

    async def _invocations(self, scope: Message, receive: Receive) -> _Answer:
        body = await _body(scope, receive)
        if body is None:
            return _refusal(413, f"more than {MAXIMUM_BYTES} bytes", f"at most {MAXIMUM_BYTES}")
        return await asyncio.to_thread(self._answer, body)  # ping must answer meanwhile

    def _answer(self, body: bytes) -> _Answer:
        try:
            document = canonical.from_bytes(body, "body")
        except (EvidenceError, RecursionError) as error:
            return _refusal(400, str(error)[:200], 'a JSON object {"instances": [...]}')
        instances = document.get("instances")
        if set(document) != {"instances"} or not isinstance(instances, list) or not instances:
            return _refusal(400, f"keys {shown(', '.join(document))}", '{"instances": [at least one object]}')
        if len(instances) > MAXIMUM_ROWS:
            return _refusal(413, f"{len(instances)} rows", f"at most {MAXIMUM_ROWS}")
        violation = first_violation(instances, self._model)
        if violation:
            return _Answer(400, {"error": asdict(violation)})
        return _Answer(200, {"predictions": self._predict(instances), "release": asdict(self._release)})


@dataclass(frozen=True)
class _Answer:
    status: int
    document: Mapping[str, Any]
    headers: Headers = ()


def _refusal(status: int, found: str, expected: str, headers: Headers = ()) -> _Answer:
    return _Answer(status, {"error": asdict(Violation(None, None, found, expected))}, headers)


async def _body(scope: Message, receive: Receive) -> bytes | None:
    """The whole body, or None as soon as it is too long: also when its length is announced wrongly or not at all."""
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if int(announced) > MAXIMUM_BYTES:  # the server refuses what is not a number
        return None
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAXIMUM_BYTES:
            return None
    return bytes(body)
