"""Whatever is sent: the error shape, never a stack trace, and nobody else is hurt."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest

JSON = "application/json"
CASES: list[tuple[str, str, Any, int, str | None]] = [
    # what is sent, column, value, row that is named, words that are found
    ("NaN", "AGEP", float("nan"), 400, None),
    ("an infinite number", "AGEP", 1e999, 400, None),
    ("a number as text", "AGEP", "33", 400, "'33'"),
    ("a fraction", "AGEP", 33.5, 400, "33.5"),
    ("a truth value", "AGEP", True, 400, "True"),
    ("null", "AGEP", None, 400, "null"),
    ("below the contract", "AGEP", -1, 400, "-1"),
    ("above the contract", "AGEP", 100, 400, "100"),
    ("an unknown category", "SEX", "3", 400, "'3'"),
    ("a category as a number that it is not", "SEX", 3, 400, "3"),
    ("a list", "SEX", ["1"], 400, "a list"),
    ("a text of a megabyte", "SEX", "1" * 2**20, 400, "'111"),
    ("an integer of a thousand digits", "AGEP", 10**1000, 400, "integer"),
    ("an extra column", "surprise", 5, 400, "5"),
]


def shape(answer: Any) -> dict[str, Any]:
    """The one error shape. Fails on a stack trace or anything that is not documented."""
    assert b"Traceback" not in answer.body
    assert b'File "' not in answer.body
    assert answer.headers["content-type"].startswith("application/json")
    error: dict[str, Any] = answer.document["error"]
    assert {"row", "column", "found", "expected"} <= set(error)
    assert error["found"]
    assert error["expected"]
    assert len(answer.body) < 4096
    return error


@pytest.mark.parametrize(
    ("column", "value", "status", "found"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_bad_value_is_named_with_its_row_and_column(
    served: Any, instances: Any, column: str, value: Any, status: int, found: str | None
) -> None:
    answer = served.invoke({"instances": [*instances[:7], {**instances[7], column: value}]})
    error = shape(answer)
    assert answer.status == status
    if found is not None:
        assert (error["row"], error["column"]) == (7, column)
        assert found in error["found"]


def test_a_missing_column_is_named(served: Any, instances: Any) -> None:
    row = {name: value for name, value in instances[0].items() if name != "MAR"}
    error = shape(served.invoke({"instances": [instances[1], row]}))
    assert (error["row"], error["column"]) == (1, "MAR")


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[]", b"null", b"1", b'"', b"\xff\xfe{", b"\x00", b'{"instances": []}', b'{"instances": {}}',
        b'{"instances": [1]}', b'{"instances": [[]]}', b'{"instances": [null]}', b'{"columns": {}}',
        b'{"columns": {"AGEP": 1}}', b'{"columns": {"AGEP": [1]}}', b'{"instances": [{}], "columns": {}}',
        b'{"instances": ' + b"[" * 100_000, b'{"instances": ' + b'{"a":' * 100_000, b'{"instances": "\\ud800"}',
        b'{"instances": [{"AGEP": 1}]' + b" " * 1000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/invocations", "/v2/models/employment/infer"])
def test_a_body_that_is_no_request_is_refused(served: Any, body: bytes, path: str) -> None:
    answer = served.ask("POST", path, body)
    shape(answer)
    assert answer.status == 400


def test_every_truncation_of_a_request_is_refused(served: Any, instances: Any) -> None:
    whole = json.dumps({"instances": instances[:1]}).encode()
    for length in range(0, len(whole), 7):
        answer = served.ask("POST", "/invocations", whole[:length])
        shape(answer)
        assert answer.status == 400


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-parquet", "application/xml", "nonsense"])
def test_another_content_type_is_unsupported(served: Any, instances: Any, media_type: str) -> None:
    answer = served.ask("POST", "/invocations", json.dumps({"instances": instances[:1]}).encode(), media_type)
    shape(answer)
    assert answer.status == 415


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"1", b"\xff\xfe", b'"', b"1,2,3\n", b"a,b\n1,2\n", b"\x00" * 50, b"," * 15 + b"\n", b"," * 100_000],
)
def test_csv_that_is_no_request_is_refused(served: Any, body: bytes) -> None:
    answer = served.ask("POST", "/invocations", body, "text/csv")
    shape(answer)
    assert answer.status == 400


def test_a_csv_value_out_of_the_contract_is_named(served: Any, instances: Any) -> None:
    good = [str(value) for value in instances[0].values()]
    for bad in ("nan", "inf", "1_0", "", "120", "x"):
        lines = [good, ["33" if index else bad for index in range(1)] + good[1:]]
        lines[1][0] = bad
        answer = served.ask("POST", "/invocations", "\n".join(map(",".join, lines)).encode(), "text/csv")
        error = shape(answer)
        assert (answer.status, error["row"], error["column"]) == (400, 1, "AGEP")


def test_too_many_rows_are_too_large(served: Any, instances: Any) -> None:
    answer = served.invoke({"instances": instances * 6})  # 12,000 rows
    shape(answer)
    assert answer.status == 413


@pytest.mark.parametrize("announced", [True, False])
def test_too_many_bytes_are_too_large_announced_or_chunked(served: Any, announced: bool) -> None:
    """The server may close before all was sent; the answer must still arrive."""
    with served.raw() as raw:
        head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        raw.sendall(
            head + (b"Content-Length: 999999999\r\n\r\n" if announced else b"Transfer-Encoding: chunked\r\n\r\n")
        )
        chunk = b" " * 2**20
        try:
            for _ in range(0 if announced else 40):
                raw.sendall(b"100000\r\n" + chunk + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert b" 413 " in first_line(raw)
    assert served.alive()


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /%ff%00%2e%2e HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_hardly_http_does_no_harm(served: Any, head: bytes) -> None:
    with served.raw() as raw:
        raw.settimeout(2)
        try:
            raw.sendall(head)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(65536)
        except OSError:  # the server may close before all is said
            answer = b""
    assert b"Traceback" not in answer
    assert b" 500 " not in answer
    assert served.alive()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_request_that_names_no_host_is_refused_where_one_is_asked_for(served: Any, version: str) -> None:
    with served.raw() as raw:
        raw.sendall(f"GET /ping HTTP/{version}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    if version == "1.0":
        assert head.startswith(b"HTTP/1.1 200")
        return
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["error"] == {
        "row": None,
        "column": None,
        "found": "no Host header",
        "expected": "one Host header, with a host's name or address",
    }


def test_bad_requests_among_good_ones_of_one_tick_hurt_nobody(
    served: Any, instances: Any, expected: list[float]
) -> None:
    """All are written before any is read, so that they arrive together."""
    bad = [b"{", json.dumps({"instances": [{**instances[0], "AGEP": "x"}]}).encode(), b'{"instances": [{}]}']

    async def one(index: int) -> tuple[int, bytes]:
        body = bad[index // 4 % 3] if index % 4 == 0 else json.dumps({"instances": [instances[index]]}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request(body))
        answer = await read_answer(reader)
        writer.close()
        return answer

    async def together() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*[one(index) for index in range(64)])

    for _ in range(3):
        for index, (status, body) in enumerate(asyncio.run(together())):
            assert status == (400 if index % 4 == 0 else 200)
            if status == 200:
                assert json.loads(body)["predictions"] == [expected[index]]


def test_pipelined_requests_are_answered_in_their_order(served: Any, instances: Any, expected: list[float]) -> None:
    """A bad one in the middle is answered in its place."""
    bodies = [json.dumps({"instances": [row]}).encode() for row in instances[:6]]
    bodies[3] = b'{"instances": [{}]}'

    async def pipelined() -> list[tuple[int, bytes]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"".join(map(request, bodies)))
        answers = [await asyncio.wait_for(read_answer(reader), 10) for _ in bodies]
        writer.close()
        return answers

    answers = asyncio.run(pipelined())
    assert [status for status, _ in answers] == [200, 200, 200, 400, 200, 200]
    found = [json.loads(body).get("predictions") for _, body in answers]
    assert found == [[expected[index]] if index != 3 else None for index in range(6)]


def test_a_caller_that_goes_away_hurts_nobody(served: Any, instances: Any) -> None:
    body = json.dumps({"instances": instances[:500]}).encode()
    for cut in (10, 200, None):
        for _ in range(20):
            with served.raw() as raw:
                raw.sendall(request(body)[:cut])
    assert served.alive()


def test_a_slow_caller_is_cut_off_and_others_are_answered_meanwhile(serve: Any, instances: Any) -> None:
    body = json.dumps({"instances": instances[:1]}).encode()
    with serve() as served, served.raw() as slow:
        slow.sendall(request(body)[:-5])
        assert served.invoke({"instances": instances[:1]}).status == 200
        begin = time.monotonic()
        assert b" 408 " in first_line(slow)
        assert time.monotonic() - begin < 25
        assert served.invoke({"instances": instances[:1]}).status == 200


def request(body: bytes) -> bytes:
    head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    return int(head.split(" ")[1]), await reader.readexactly(length)


def first_line(raw: socket.socket) -> bytes:
    found = b""
    while b"\r\n" not in found:
        part = raw.recv(65536)
        if not part:
            break
        found += part
    return found.split(b"\r\n")[0]
