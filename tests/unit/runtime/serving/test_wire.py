"""The application on its connections, whatever bytes come in whatever pieces: answers in order, and nothing is left."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lockgate.configuration.model import Feature, Model
from lockgate.tasks.target import binary
from runtime.serving.application import Application, ServedVersion
from runtime.serving.http import Connection, Site

MODEL = Model("toy", "", "id", binary("target"), (), (Feature("age", "integer", minimum=0, maximum=99),), {}, "", "")
ANSWER = re.compile(rb"HTTP/1\.1 (\d+) [^\r]*\r\n((?:[a-z-]+: [^\r\n]*\r\n)*)\r\n")


class ConstantEngine:
    def predict(self, codes: bytes, rows: int) -> list[Any]:
        return [0.5] * rows


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


def conversation(pieces: list[bytes]) -> tuple[Application, bytes]:
    """The application after it, and what it said. The caller goes away at the end."""
    application = Application(MODEL, ServedVersion("7", "c" * 40, "toy/1"), ConstantEngine())
    errors: list[Any] = []

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        site, wire = Site(application, loop), Wire()
        connection = Connection(site)
        connection.connection_made(wire)
        for piece in pieces:
            connection.data_received(piece)
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not site.connections
        return wire.written

    said = asyncio.run(run())
    assert not errors
    return application, said


def left(application: Application) -> tuple[int, int]:
    return application._in_flight, application._bytes_in_flight


def answers(said: bytes) -> list[tuple[int, bytes, bytes]]:
    """Status, headers and body of each; fails when something else was said."""
    found, at = [], 0
    said = said.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    while at < len(said):
        head = ANSWER.match(said, at)
        assert head, said[at : at + 200]
        length = re.search(rb"content-length: (\d+)", head[2])
        assert length
        at = head.end() + int(length[1])
        found.append((int(head[1]), head[2], said[head.end() : at]))
    return found


def framed(number: int, method: str, path: str, body: bytes, chunked: bool) -> bytes:
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    head = f"{method} {path} HTTP/1.1\r\nhost: a\r\nx-request-id: id-{number}\r\n{framing}\r\n\r\n".encode()
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return head + (chunks if chunked else body)


BODIES = st.sampled_from(
    [json.dumps({"instances": [{"age": age}] * rows}).encode() for age, rows in ((1, 1), (2, 3), (300, 1))]
    + [b"", b"{", b'{"columns": {"age": [1, 2]}}']
)
REQUESTS = st.tuples(
    st.sampled_from(["POST", "POST", "POST", "GET"]),
    st.sampled_from(["/invocations", "/invocations", "/ping", "/nowhere", "/v2/models/toy/infer"]),
    BODIES,
    st.booleans(),
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if data[start:end]]


ONE_ROW = ("POST", "/invocations", json.dumps({"instances": [{"age": 1}]}).encode(), False)


@settings(max_examples=150)
@example(requests=[ONE_ROW] * 3, places=[291])  # the third comes in part, while the first two are worked on
@given(requests=st.lists(REQUESTS, min_size=1, max_size=6), places=st.lists(st.integers(0, 2000), max_size=8))
def test_every_request_is_answered_once_and_in_order_however_it_is_cut(requests: Any, places: list[int]) -> None:
    sent = b"".join(framed(number, *request) for number, request in enumerate(requests))
    application, said = conversation(cut(sent, places))
    found = answers(said)
    assert [re.findall(rb"x-request-id: (\S+)", head) for _, head, _ in found] == [
        [b"id-%d" % number] for number in range(len(requests))
    ]
    assert all(status in (200, 400, 404, 405) for status, _, _ in found)
    assert left(application) == (0, 0)


@settings(max_examples=300)
@given(
    requests=st.lists(REQUESTS, min_size=1, max_size=4),
    places=st.lists(st.integers(0, 2000), max_size=4),
    damage=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 40), st.binary(max_size=8)), min_size=1, max_size=3),
)
def test_damaged_http_is_answered_or_refused_and_leaves_nothing_behind(requests: Any, places: Any, damage: Any) -> None:
    sent = b"".join(framed(number, *request) for number, request in enumerate(requests))
    for place, length, instead in damage:
        at = place % (len(sent) + 1)
        sent = sent[:at] + instead + sent[at + length :]
    application, said = conversation(cut(sent, places))
    assert all(status in (200, 400, 404, 405, 413, 415, 429) for status, _, _ in answers(said))
    assert left(application) == (0, 0)
