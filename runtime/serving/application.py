"""The HTTP interface of a served model, as a bare ASGI application; docs/serving.md describes it.

Every path answers at the root and below /<model>/, the path by which the load balancer routes.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from lockgate.config import Model
from runtime.contract import shown
from runtime.serving import inference
from runtime.serving.access import AccessLog
from runtime.serving.batching import Engine, MicroBatcher
from runtime.serving.capture import Capture
from runtime.serving.openapi import openapi
from runtime.serving.rows import Batch, Decoder, Refused, refused
from runtime.serving.telemetry import Telemetry

MAXIMUM_BYTES = 16 * 1024**2
MAXIMUM_IN_FLIGHT = 512  # requests begun and not answered, in one worker
MAXIMUM_BYTES_IN_FLIGHT = 64 * 1024**2  # of their bodies
LARGE_BYTES = 256 * 1024  # a body longer than that is worked on in a thread, so that others are answered meanwhile
BODY_SECONDS = 10.0
RETRY_SECONDS = "1"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_CSV = (b"content-type", b"text/csv; charset=utf-8")
_PROMETHEUS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:=-]{1,64}")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Release:
    """What every answer names, so that a prediction can be traced."""

    version: str
    commit: str
    verdict_id: str


class Call(msgspec.Struct, frozen=True, gc=False):
    """What the headers of a prediction request say."""

    length: int
    media_type: bytes
    accept: bytes
    request_id: str


class Application:
    """One worker's. `engine` predicts rows that keep the data contract."""

    def __init__(self, model: Model, release: Release, engine: Engine, telemetry: Telemetry | None = None) -> None:
        self._model, self._release = model, release
        self._decoder, self._batcher, self._engine = Decoder(model), MicroBatcher(engine), engine
        self.telemetry = telemetry or Telemetry({"model": model.name, **asdict(release)}, 1)
        self.capture = Capture()
        self.access = AccessLog({"model": model.name, **asdict(release)})
        self.draining = False
        self._in_flight = self._bytes_in_flight = 0
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._boot, self._count = os.urandom(6).hex(), 0
        self._tail = b',"release":' + _encode(asdict(release)) + b"}"
        self._named = (
            (b"x-lockgate-release", release.version.encode()),
            (b"x-lockgate-verdict", release.verdict_id.encode()),
        )
        self._gets, self._posts = self._routes()

    def answer(self, body: bytes) -> bytes:
        """What a JSON request to /invocations does in this process: decode, check, predict, encode. Raises Refused."""
        batch = self._decoder.json(body)
        return self._encoded(self._engine.predict(batch.codes, batch.rows))

    def _encoded(self, predictions: list[Any]) -> bytes:
        return b'{"predictions":' + _encode(predictions) + self._tail

    def _routes(self) -> tuple[dict[str, Callable[[], _Answer]], dict[str, str]]:
        name, version = self._model.name, self._release.version
        ready = {"model": name, "release": asdict(self._release)}
        contract = _Answer(200, openapi(self._model, version))
        metadata = _Answer(200, _encode(inference.metadata(self._model, version)))
        server = _Answer(200, _encode({"name": "lockgate", "version": version, "extensions": []}))
        gets: dict[str, Callable[[], _Answer]] = {
            "/ping": lambda: self._readiness(ready),
            "/readyz": lambda: self._readiness(ready),
            "/livez": lambda: _Answer(200, _encode({"live": True})),
            "/metrics": lambda: _Answer(200, self.telemetry.text(), media_type=_PROMETHEUS),
            "/openapi.json": lambda: contract,
            "/v2": lambda: server,
            "/v2/health/live": lambda: _Answer(200, _encode({"live": True})),
            "/v2/health/ready": lambda: self._readiness({"ready": True}),
        }
        posts = {"/invocations": "invocations"}
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
            gets[path] = lambda: metadata
            gets[f"{path}/ready"] = lambda: self._readiness({"name": name, "ready": True})
            posts[f"{path}/infer"] = "infer"
        for prefix in (f"/{name}",):
            gets |= {prefix + path: way for path, way in gets.items()}
            posts |= {prefix + path: way for path, way in posts.items()}
        return gets, posts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST" and (route := self._posts.get(scope["path"])):
            await self._predictions(route, scope, receive, send)
            return
        request_id = _request_id(scope["headers"]) or self._new_id()
        answer = self._other(scope)
        self.telemetry.answered("other", answer.status, 0, 0.0)
        if answer.status >= 400 and answer.status != 503:
            self.access.answered(request_id, scope["path"][:200], answer.status, 0, 0.0)
        await self._send(send, answer, request_id)

    def _other(self, scope: Message) -> _Answer:
        path, method = scope["path"], scope["method"]
        if path in self._gets:
            if method in ("GET", "HEAD"):
                return self._gets[path]()
            return self._refusal(refused(405, "no_route", f"method {method}"[:40], "GET"), [(b"allow", b"GET, HEAD")])
        if path in self._posts:
            return self._refusal(refused(405, "no_route", f"method {method}"[:40], "POST"), [(b"allow", b"POST")])
        paths = ", ".join(sorted([*self._gets, *self._posts]))
        return self._refusal(refused(404, "no_route", f"path {shown(path)}", f"one of {paths}"))

    def _readiness(self, ready: Mapping[str, Any]) -> _Answer:
        if self.draining:
            return self._refusal(refused(503, "busy", "a task that ends", "another task"))
        return _Answer(200, _encode(ready))

    async def _predictions(self, route: str, scope: Message, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        call = self._call(scope["headers"])
        rows, length = 0, call.length
        self._in_flight += 1
        self.telemetry.in_flight(self._in_flight)
        self._bytes_in_flight += length
        try:
            self._refuse_excess(length)
            body = await self._body(receive, length)
            answer, rows = await self._answer(route, call, body)
        except Refused as refusal:
            headers: Headers = ((b"retry-after", RETRY_SECONDS.encode()),) if refusal.status == 429 else ()
            if refusal.kind in ("too_large", "slow", "busy"):  # the rest of the body is not read
                headers = (*headers, (b"connection", b"close"))
            answer = self._refusal(refusal, headers)
        except _GoneError:
            return
        except Exception:  # a defect: counted and answered as such; the server logs the trace, the caller sees none
            answer = self._refusal(refused(500, "defect", "an error of the server", "an answer"))
            _log_defect(call.request_id)
        finally:
            self._in_flight -= 1
            self.telemetry.in_flight(self._in_flight)
            self._bytes_in_flight -= length
        seconds = time.perf_counter() - begun
        self.telemetry.answered(route, answer.status, rows, seconds)
        self.access.answered(call.request_id, scope["path"], answer.status, rows, seconds)
        await self._send(send, answer, call.request_id)

    async def _answer(self, route: str, call: Call, body: bytes) -> tuple[_Answer, int]:
        if len(body) > LARGE_BYTES:
            batch, given_id = await asyncio.to_thread(self._read, route, call, body)
            predictions = await asyncio.to_thread(self._engine.predict, batch.codes, batch.rows)
        else:
            batch, given_id = self._read(route, call, body)
            predictions = await self._batcher.submit(batch)
        self.telemetry.predicted(predictions)
        self.telemetry.captured(self.capture.offer(call.request_id, batch, predictions))
        if route == "infer":
            document = inference.answer(self._model, self._release.version, given_id or call.request_id, predictions)
            return _Answer(200, _encode(document)), batch.rows
        if call.accept.startswith(b"text/csv"):
            return _Answer(200, _csv(predictions), media_type=_CSV), batch.rows
        return _Answer(200, self._encoded(predictions)), batch.rows

    def _read(self, route: str, call: Call, body: bytes) -> tuple[Batch, str | None]:
        if route == "infer" and call.media_type in (b"", b"application/json"):
            return inference.read(body, self._decoder, self._model)
        if route == "invocations" and call.media_type in (b"", b"application/json"):
            return self._decoder.json(body), None
        if route == "invocations" and call.media_type == b"text/csv":
            return self._decoder.csv(body), None
        wanted = "application/json" if route == "infer" else "application/json or text/csv"
        raise refused(415, "media_type", f"content type {shown(call.media_type.decode('latin-1'))}", wanted)

    def _refuse_excess(self, length: int) -> None:
        if length > MAXIMUM_BYTES:
            raise refused(413, "too_large", f"{length} bytes", f"at most {MAXIMUM_BYTES}")
        if self._in_flight > MAXIMUM_IN_FLIGHT or self._bytes_in_flight > MAXIMUM_BYTES_IN_FLIGHT:
            raise refused(
                429, "busy", f"{self._in_flight} requests of {self._bytes_in_flight} bytes in flight",
                f"at most {MAXIMUM_IN_FLIGHT} of {MAXIMUM_BYTES_IN_FLIGHT} bytes; try again",
            )  # fmt: skip

    async def _body(self, receive: Receive, length: int) -> bytes:
        """The whole body; refused as soon as it is too long, whatever its announced length."""
        task: Any = asyncio.current_task()
        self._reading[task] = time.monotonic() + BODY_SECONDS
        try:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            body = message.get("body", b"")
            if not message.get("more_body", False):
                if len(body) > MAXIMUM_BYTES:
                    raise refused(413, "too_large", f"more than {MAXIMUM_BYTES} bytes", f"at most {MAXIMUM_BYTES}")
                return bytes(body)
            chunks, size = [body], len(body)
            while message.get("more_body", False):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > MAXIMUM_BYTES:
                    raise refused(413, "too_large", f"more than {MAXIMUM_BYTES} bytes", f"at most {MAXIMUM_BYTES}")
            return b"".join(chunks)
        except asyncio.CancelledError:
            if task in self._reading:
                raise
            task.uncancel()
            raise refused(
                408, "slow", f"less than {length or 'the announced'} bytes after {BODY_SECONDS:g} s", "the body"
            ) from None
        finally:
            self._reading.pop(task, None)

    def end_slow_bodies(self) -> None:
        """Refuse requests whose body takes longer than BODY_SECONDS; to be called every second or so."""
        now = time.monotonic()
        for task in [task for task, until in self._reading.items() if until < now]:
            del self._reading[task]
            task.cancel()

    def _call(self, headers: Headers) -> Call:
        length, media_type, accept, request_id = 0, b"", b"", None
        for name, value in headers:
            if name == b"content-length":
                length = int(value)  # the server refuses what is not a number
            elif name == b"content-type":
                media_type = value.split(b";", 1)[0].strip().lower()
            elif name == b"accept":
                accept = value
            elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                request_id = value.decode()
        return Call(length, media_type, accept, request_id or self._new_id())

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._boot}-{self._count:x}"

    def _refusal(self, refusal: Refused, headers: Headers = ()) -> _Answer:
        self.telemetry.failed(refusal.kind)
        error = asdict(refusal.violation)
        for name in ("column", "found", "expected"):  # a caller may send half of a surrogate pair
            error[name] = error[name] and error[name].encode("utf-8", "replace").decode()
        return _Answer(refusal.status, b'{"error":' + _encode(error) + self._tail, headers)

    async def _send(self, send: Send, answer: _Answer, request_id: str) -> None:
        headers = [
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request_id.encode()),
            answer.media_type,
            *self._named,
            *answer.headers,
        ]
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


class _Answer(msgspec.Struct, frozen=True, gc=False):
    status: int
    body: bytes
    headers: Headers = ()
    media_type: tuple[bytes, bytes] = _JSON


class _GoneError(Exception):
    """The caller closed the connection before the request was complete."""


def _request_id(headers: Headers) -> str | None:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode()
    return None


def _csv(predictions: Sequence[Any]) -> bytes:
    """A line a row."""
    lines = [",".join(map(repr, row)) if isinstance(row, list) else repr(row) for row in predictions]
    return ("\n".join(lines) + "\n").encode()


def _log_defect(request_id: str) -> None:
    import logging

    logging.getLogger("lockgate.serving").exception("request %s", request_id)
