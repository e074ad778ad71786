"""The HTTP interface of a served model; docs/serving.md describes it.

Every path answers at the root and below /<model>/, the path by which the load balancer routes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from math import isfinite
from typing import Any

import msgspec

from lockgate.configuration.model import Model
from runtime.contract import shown
from runtime.serving import inference
from runtime.serving.access import AccessLog
from runtime.serving.batching import Engine, MicroBatcher
from runtime.serving.capture import Capture
from runtime.serving.http import BODY_SECONDS, HttpRequest, HttpResponse
from runtime.serving.openapi import openapi
from runtime.serving.rows import Batch, Decoder, Refused, refused
from runtime.serving.telemetry import Telemetry
from runtime.serving.transform import execution_parameters

MAXIMUM_BYTES = 16 * 1024**2
MAXIMUM_IN_FLIGHT = 512  # requests begun and not answered, in one worker
MAXIMUM_BYTES_IN_FLIGHT = 64 * 1024**2  # of their bodies
SMALL_BYTES = 64 * 1024  # a body up to that is taken though large ones fill the limit, which may be slow to come
LARGE_BYTES = 256 * 1024  # a body longer than that is worked on in a thread, so that others are answered meanwhile
RETRY_SECONDS = 1

_JSON = b"content-type: application/json\r\n"
_CSV = b"content-type: text/csv; charset=utf-8\r\n"
_PROMETHEUS = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:=-]{1,64}")
_CLOSING = ("too_large", "slow", "busy")  # the rest of the body is not read
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class ServedVersion:
    """What every answer names, so that a prediction can be traced."""

    version: str
    commit: str
    verdict_id: str


class PredictionRequest:
    """A prediction request: what its headers say, and what becomes of it."""

    __slots__ = (
        "_application",
        "accept",
        "batch",
        "begun",
        "bytes",
        "given_id",
        "id",
        "media_type",
        "request",
        "route",
    )

    def __init__(self, application: Application, request: HttpRequest, route: str) -> None:
        headers = request.headers
        self._application, self.request, self.route = application, request, route
        self.begun = time.perf_counter()
        self.bytes = request.length or 0
        self.media_type = headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        self.accept = headers.get(b"accept", b"")
        self.id, self.given_id = application.id_of(request), ""
        self.batch: Batch

    def predicted(self, predictions: list[Any] | Exception) -> None:
        """The batcher's answer."""
        self._application.predicted(self, predictions)


class Application:
    """One worker's service. `engine` predicts rows that keep the data contract."""

    def __init__(
        self,
        model: Model,
        release: ServedVersion,
        engine: Engine,
        telemetry: Telemetry | None = None,
        threshold: float | None = None,
    ) -> None:
        """threshold: from which score on the positive class is predicted, where there is one."""
        self._model, self._release = model, release
        self._decoder, self._batcher, self._engine = Decoder(model), MicroBatcher(engine), engine
        self.telemetry = telemetry or Telemetry({"model": model.name, **asdict(release)}, 1)
        self.capture = Capture()
        self.access = AccessLog({"model": model.name, **asdict(release)})
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = [self.access.write_forever]
        self.draining = False
        self._in_flight = self._bytes_in_flight = 0
        self._large: set[asyncio.Task[None]] = set()
        self._boot, self._count = os.urandom(6).hex(), 0
        self._tail = b',"release":' + _encode(asdict(release)) + b"}"
        self._meaning = inference.meaning(model.target, threshold)
        said = b"".join(b',"%b":%b' % (name.encode(), _encode(value)) for name, value in self._meaning.items())
        self._predicted_tail = said + self._tail
        self.common = f"x-lockgate-release: {release.version}\r\nx-lockgate-verdict: {release.verdict_id}\r\n".encode()
        self._gets, self._posts = self._routes()

    # What the connections call.

    def begin(self, request: HttpRequest) -> None:
        route = self._posts.get(request.path) if request.method == b"POST" else None
        if route is None:
            self._answer_other(request, self._page_of(request.path, request.method.decode()))
            return
        call = request.state = PredictionRequest(self, request, route)
        self._in_flight += 1
        self._bytes_in_flight += call.bytes
        self.telemetry.in_flight(self._in_flight)
        if call.bytes > MAXIMUM_BYTES:
            self._refuse(call, refused(413, "too_large", f"{call.bytes} bytes", f"at most {MAXIMUM_BYTES}"))
        elif self._in_flight > MAXIMUM_IN_FLIGHT or self._is_full_for(call):
            self._refuse(call, self._busy())

    def misaddressed(self, request: HttpRequest) -> None:
        host = request.headers.get(b"host")
        found = "no Host header" if host is None else f"Host: {shown(host.decode('latin-1'))}"
        refusal = refused(400, "malformed", found, "one Host header, with a host's name or address")
        self._answer_other(request, _Page(400, self._refusal(refusal)), closes=True)

    def unannounced(self, request: HttpRequest, size: int) -> None:
        call: PredictionRequest = request.state
        call.bytes += size
        self._bytes_in_flight += size
        if call.bytes > MAXIMUM_BYTES:
            self._refuse(
                call, refused(413, "too_large", f"more than {MAXIMUM_BYTES} bytes", f"at most {MAXIMUM_BYTES}")
            )
        elif self._is_full_for(call):
            self._refuse(call, self._busy())

    def answer(self, request: HttpRequest) -> None:
        call: PredictionRequest = request.state
        body = request.body()
        try:
            if len(body) > LARGE_BYTES:
                task = asyncio.get_running_loop().create_task(self._answer_large(call, body))
                self._large.add(task)
                task.add_done_callback(self._large.discard)
                return
            call.batch = self._read(call, body)
            self._batcher.submit(call.batch, call.predicted)
        except Refused as refusal:
            self._refuse(call, refusal)
        except Exception as error:
            self._defect(call, error)

    def slow(self, request: HttpRequest) -> None:
        call: PredictionRequest = request.state
        found = f"less than {request.length or 'the announced'} bytes after {BODY_SECONDS:g} s"
        self._refuse(call, refused(408, "slow", found, "the body"))

    def gone(self, request: HttpRequest) -> None:
        self._finish(request.state)

    # Predictions.

    async def _answer_large(self, call: PredictionRequest, body: bytes) -> None:
        try:
            call.batch = await asyncio.to_thread(self._read, call, body)
            self.predicted(call, await asyncio.to_thread(self._engine.predict, call.batch.codes, call.batch.rows))
        except Refused as refusal:
            self._refuse(call, refusal)
        except Exception as error:
            self._defect(call, error)

    def predicted(self, call: PredictionRequest, predictions: list[Any] | Exception) -> None:
        """Answer with the predictions of `call.batch`, or with what went wrong instead."""
        if isinstance(predictions, Exception):
            self._defect(call, predictions)
            return
        try:
            _refuse_no_numbers(predictions)
            self.telemetry.predicted(predictions)
            self.telemetry.captured(self.capture.offer(call.id, call.batch, predictions))
            if call.route == "infer":
                document = inference.answer(
                    self._model, self._release.version, call.given_id or call.id, predictions, self._meaning
                )
                body, media_type = _encode(document), _JSON
            elif call.accept.startswith(b"text/csv"):
                body, media_type = _csv(predictions), _CSV
            else:
                body, media_type = self._encoded(predictions), _JSON
        except Exception as error:
            self._defect(call, error)
            return
        self._reply(call, 200, body, media_type, call.batch.rows)

    def _encoded(self, predictions: list[Any]) -> bytes:
        return b'{"predictions":' + _encode(predictions) + self._predicted_tail

    def _read(self, call: PredictionRequest, body: bytes) -> Batch:
        headers = call.request.headers
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding != b"identity":
            found = f"content encoding {shown(encoding.decode('latin-1'))}"
            raise refused(415, "media_type", found, "a body that is not compressed")
        if b"inference-header-content-length" in headers:
            raise refused(415, "media_type", "binary tensors", "tensors in JSON: there is no binary extension")
        if call.media_type in (b"", b"application/json"):
            if call.route == "invocations":
                return self._decoder.json(body)
            batch, given = inference.read(body, self._decoder, self._model)
            call.given_id = given or ""
            return batch
        if call.route == "invocations" and call.media_type == b"text/csv":
            return self._decoder.csv(body)
        wanted = "application/json" if call.route == "infer" else "application/json or text/csv"
        raise refused(415, "media_type", f"content type {shown(call.media_type.decode('latin-1'))}", wanted)

    def _is_full_for(self, call: PredictionRequest) -> bool:
        return self._bytes_in_flight > MAXIMUM_BYTES_IN_FLIGHT and call.bytes > SMALL_BYTES

    def _busy(self) -> Refused:
        return refused(
            429, "busy", f"{self._in_flight} requests of {self._bytes_in_flight} bytes in flight",
            f"at most {MAXIMUM_IN_FLIGHT} of {MAXIMUM_BYTES_IN_FLIGHT} bytes; try again",
        )  # fmt: skip

    def _refuse(self, call: PredictionRequest, refusal: Refused) -> None:
        headers = _JSON + b"retry-after: %d\r\n" % RETRY_SECONDS if refusal.status == 429 else _JSON
        self._reply(call, refusal.status, self._refusal(refusal), headers, closes=refusal.kind in _CLOSING)

    def _defect(self, call: PredictionRequest, error: Exception) -> None:
        """Counted and answered as such; the log has the trace, the caller sees none."""
        logging.getLogger("lockgate.serving").error("request %s", call.id, exc_info=error)
        self._refuse(call, refused(500, "defect", "an error of the server", "an answer"))

    def _reply(
        self, call: PredictionRequest, status: int, body: bytes, headers: bytes, rows: int = 0, closes: bool = False
    ) -> None:
        self._finish(call)
        seconds = time.perf_counter() - call.begun
        self.telemetry.answered(call.route, status, rows, seconds)
        self.access.answered(call.id, call.request.path, status, rows, seconds)
        call.request.reply(HttpResponse(status, body, b"%bx-request-id: %b\r\n" % (headers, call.id.encode()), closes))

    def _finish(self, call: PredictionRequest) -> None:
        call.request.state = None  # what does not refer to itself needs no collector
        self._in_flight -= 1
        self._bytes_in_flight -= call.bytes
        self.telemetry.in_flight(self._in_flight)

    # Everything else.

    def _routes(self) -> tuple[dict[str, Callable[[], _Page]], dict[str, str]]:
        name, version = self._model.name, self._release.version
        ready = {"model": name, "release": asdict(self._release)}
        contract = _Page(200, openapi(self._model, version, self._meaning.get("threshold")))
        metadata = _Page(200, _encode(inference.metadata(self._model, version)))
        server = _Page(200, _encode({"name": "lockgate", "version": version, "extensions": []}))
        transform = _Page(200, _encode(execution_parameters(self._model)))
        gets: dict[str, Callable[[], _Page]] = {
            "/ping": lambda: self._readiness(ready),
            "/readyz": lambda: self._readiness(ready),
            "/execution-parameters": lambda: transform,
            "/livez": lambda: _Page(200, _encode({"live": True})),
            "/metrics": lambda: _Page(200, self.telemetry.text(), _PROMETHEUS),
            "/openapi.json": lambda: contract,
            "/v2": lambda: server,
            "/v2/health/live": lambda: _Page(200, _encode({"live": True})),
            "/v2/health/ready": lambda: self._readiness({"ready": True}),
        }
        posts = {"/invocations": "invocations"}
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
            gets[path] = lambda: metadata
            gets[f"{path}/ready"] = lambda: self._readiness({"name": name, "ready": True})
            posts[f"{path}/infer"] = "infer"
        gets |= {f"/{name}{path}": way for path, way in gets.items()}
        posts |= {f"/{name}{path}": way for path, way in posts.items()}
        return gets, posts

    def _answer_other(self, request: HttpRequest, page: _Page, closes: bool = False) -> None:
        request_id = self.id_of(request)
        self.telemetry.answered("other", page.status, 0, 0.0)
        if page.status >= 400 and page.status != 503:
            self.access.answered(request_id, request.path[:200], page.status, 0, 0.0)
        headers = b"%bx-request-id: %b\r\n" % (page.headers, request_id.encode())
        request.reply(HttpResponse(page.status, page.body, headers, closes))

    def _page_of(self, path: str, method: str) -> _Page:
        if path in self._gets:
            if method in ("GET", "HEAD"):
                return self._gets[path]()
            return self._not_found(405, f"method {method}", "GET", _JSON + b"allow: GET, HEAD\r\n")
        if path in self._posts:
            return self._not_found(405, f"method {method}", "POST", _JSON + b"allow: POST\r\n")
        paths = ", ".join(sorted([*self._gets, *self._posts]))
        return self._not_found(404, f"path {shown(path)}", f"one of {paths}")

    def _not_found(self, status: int, found: str, wanted: str, headers: bytes = _JSON) -> _Page:
        return _Page(status, self._refusal(refused(status, "no_route", found, wanted)), headers)

    def _readiness(self, ready: Mapping[str, Any]) -> _Page:
        if self.draining:
            return _Page(503, self._refusal(refused(503, "busy", "a task that ends", "another task")))
        return _Page(200, _encode(ready))

    def _refusal(self, refusal: Refused) -> bytes:
        self.telemetry.failed(refusal.kind)
        error = asdict(refusal.violation)
        for name in ("column", "found", "expected"):  # a caller may send half of a surrogate pair
            error[name] = error[name] and error[name].encode("utf-8", "replace").decode()
        return b'{"error":' + _encode(error) + self._tail

    def id_of(self, request: HttpRequest) -> str:
        """The caller's, if it is a fair one, else one of ours."""
        given = request.headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode()
        self._count += 1
        return f"{self._boot}-{self._count:x}"


class _Page(msgspec.Struct, frozen=True, gc=False):
    """What a path other than predictions answers. headers: whole lines, with the content type."""

    status: int
    body: bytes
    headers: bytes = _JSON


def _refuse_no_numbers(predictions: Sequence[Any]) -> None:
    """Raises ArithmeticError: NaN would be answered as null."""
    several = isinstance(predictions[0], list)
    numbers = list(chain.from_iterable(predictions)) if several else predictions
    if not isfinite(sum(numbers)) and not all(map(isfinite, numbers)):
        raise ArithmeticError("the engine predicts what is no finite number")


def _csv(predictions: Sequence[Any]) -> bytes:
    """A line a row."""
    lines = [",".join(map(repr, row)) if isinstance(row, list) else repr(row) for row in predictions]
    return ("\n".join(lines) + "\n").encode()
