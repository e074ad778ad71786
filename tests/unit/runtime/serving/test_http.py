"""One connection over a real socket, with a service that answers each path in its own way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from runtime.serving import http
from runtime.serving.http import Connection, HttpRequest, HttpResponse, Site

PLAIN = b"content-type: text/plain\r\n"
POST = b"POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n%b"


class Echo:
    """/now is answered when its headers are complete, /kept is kept, anything else with its body later."""

    draining = False

    def __init__(self) -> None:
        self.went: list[HttpRequest] = []
        self.kept: list[HttpRequest] = []
        self.largest = 100

    def begin(self, request: HttpRequest) -> None:
        if request.path == "/now":
            request.reply(HttpResponse(200, b"now", PLAIN))
        if request.path == "/refused":
            request.reply(HttpResponse(413, b"refused", PLAIN, closes=True))

    def misaddressed(self, request: HttpRequest) -> None:
        request.reply(HttpResponse(400, b"to whom?", PLAIN, closes=True))

    def unannounced(self, request: HttpRequest, size: int) -> None:
        if len(request.body()) > self.largest:
            request.reply(HttpResponse(413, b"too large", PLAIN, closes=True))

    def answer(self, request: HttpRequest) -> None:
        if request.path == "/kept":
            self.kept.append(request)
        else:
            loop = asyncio.get_running_loop()
            answer = HttpResponse(200, request.path.encode() + b" " + request.body(), PLAIN)
            loop.call_soon(loop.call_soon, request.reply, answer)

    def slow(self, request: HttpRequest) -> None:
        request.reply(HttpResponse(408, b"slow", PLAIN, closes=True))

    def gone(self, request: HttpRequest) -> None:
        self.went.append(request)


def talk(talking: Callable[[Site, Any, Any], Awaitable[Any]], service: Echo | None = None, rounds: int = 1) -> Any:
    """Run `talking` with a site, a reader and a writer; the site has no connection left afterwards."""

    async def run() -> Any:
        site = Site(service or Echo(), asyncio.get_running_loop())
        server = await site.loop.create_server(lambda: Connection(site), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            found = await asyncio.wait_for(talking(site, reader, writer), 20)
            writer.transport.abort()
            for _ in range(2000):
                if not site.connections:
                    return found
                await asyncio.sleep(0.001)
        raise AssertionError("a connection is left")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def said(data: bytes, half_close: bool = False) -> Any:
    """All that the server says until it closes, or until it says nothing for a while."""

    async def talking(site: Site, reader: Any, writer: Any) -> bytes:
        writer.write(data)
        if half_close:
            writer.write_eof()
        found = b""
        try:
            while part := await asyncio.wait_for(reader.read(65536), 0.3):
                found += part
        except TimeoutError:
            return found
        return found + b"<closed>"

    return talking


def test_a_body_in_pieces_is_one_body() -> None:
    async def talking(site: Site, reader: Any, writer: Any) -> bytes:
        for byte in POST % b"abc":
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        found: bytes = await reader.readuntil(b"abc")
        return found

    assert talk(talking).endswith(b"\r\n\r\n/later abc")


def test_chunks_are_one_body_and_their_trailers_are_no_headers() -> None:
    found = talk(
        said(
            b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1\r\nc\r\n0\r\nexpect: 9\r\nhost: b\r\n\r\n"
            b"GET /now HTTP/1.1\r\nhost: a\r\n\r\n"
        )
    )
    assert found.count(b"HTTP/1.1 200 OK") == 2
    assert b"/c abc" in found


def test_a_body_in_many_chunks_may_be_longer_than_headers_may() -> None:
    service, chunk = Echo(), b"64\r\n" + b"a" * 100 + b"\r\n"
    service.largest = 100_000
    found = talk(
        said(b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunk * 1000 + b"0\r\n\r\n"),
        service,
    )
    assert found.endswith(b"/c " + b"a" * 100_000)


@pytest.mark.parametrize(
    "endless", [b"0\r\nx: " + b"a" * 100_000, b"0\r\n" + b"x: a\r\n" * 20_000, b"2;" + b"a" * 100_000],
    ids=["a header behind the body", "headers behind the body", "what a chunk says"],
)  # fmt: skip
def test_what_comes_beside_a_body_is_bounded_as_headers_are(endless: bytes) -> None:
    found = talk(said(b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n" + endless))
    assert found.endswith(b"Headers too large.<closed>")


@pytest.mark.parametrize(
    "headers",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked", b"transfer-encoding: chunked\r\ncontent-length: 5",
        b"content-length: 2\r\ncontent-length: 5", b"content-length: 2\r\ncontent-length: 2", b"content-length: 2, 2",
        b"content-length:", b"content-length: +2", b"content-length: 0x2", b"content-length: 1 2",
        b"content-length: 18446744073709551617", b"content-length : 2",
        b"content-length: 2\ntransfer-encoding: chunked",
        b"transfer-encoding: identity", b"transfer-encoding: xchunked", b'transfer-encoding: "chunked"',
        b"transfer-encoding: chunked, gzip", b"transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        b"transfer-encoding:\x0bchunked", b"transfer-encoding:\r\n chunked", b"transfer-encoding : chunked",
        b"x: a\r\n transfer-encoding: chunked", b"x: a\rcontent-length: 2", b"x: a\x00b", b"no colon", b": a",
    ],
)  # fmt: skip
def test_a_request_that_a_proxy_could_cut_elsewhere_is_refused_with_all_that_follows(headers: bytes) -> None:
    found = talk(
        said(
            b"POST /later HTTP/1.1\r\nhost: a\r\n" + headers + b"\r\n\r\n0\r\n\r\nGET /now HTTP/1.1\r\nhost: a\r\n\r\n"
        )
    )
    assert found.count(b"HTTP/1.1") == found.count(b"HTTP/1.1 400") == 1
    assert found.endswith(b"Invalid HTTP request received.<closed>")


@pytest.mark.parametrize(
    "chunk", [b" 2\r\nab", b"-2\r\nab", b"f" * 17 + b"\r\nab", b"2\nab", b"2\r\nabXX", b"0x2\r\nab"]
)
def test_a_chunk_of_an_unclear_size_is_refused_with_all_that_follows(chunk: bytes) -> None:
    head = b"POST /later HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    found = talk(said(head + chunk + b"\r\n0\r\n\r\nGET /now HTTP/1.1\r\nhost: a\r\n\r\n"))
    assert found.count(b"HTTP/1.1") == found.count(b"HTTP/1.1 400") == 1


@pytest.mark.parametrize(
    "headers",
    [
        b"", b"host: a\r\nhost: a\r\n", b"Host: a\r\nx: b\r\nHOST: b\r\n", b"host:\r\nhost:\r\n", b"host: a, b\r\n",
        b"host: a b\r\n", b"host: a/b\r\n", b"host: b@a\r\n", b"host: a:b\r\n", b"host: a:1:2\r\n", b"host: [::1\r\n",
        b"host: ::1\r\n", b"host: a%2\r\n", b"host: \xe4\r\n", b"host: <a>\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("request_line", [b"GET /now HTTP/1.1\r\n", b"POST /later HTTP/1.1\r\ncontent-length: 3\r\n"])
def test_a_request_without_one_host_is_refused_with_all_that_follows(request_line: bytes, headers: bytes) -> None:
    found = talk(said(POST % b"one" + request_line + headers + b"\r\nabc" + POST % b"two"))
    assert (found.count(b"HTTP/1.1 200"), found.count(b"HTTP/1.1 400"), found.count(b"HTTP/1.1")) == (1, 1, 2)
    assert found.index(b"/later one") < found.index(b"to whom?")
    assert found.endswith(b"<closed>")


@pytest.mark.parametrize(
    "host", [b" a", b" a.example:8080", b"", b" 127.0.0.1:80", b" [::1]:80", b"\ta_b-c%20d ", b" A:"]
)
def test_a_host_is_a_name_or_an_address_perhaps_with_a_port(host: bytes) -> None:
    request = b"GET /now HTTP/1.1\r\nHost:" + host + b"\r\n\r\n"
    assert talk(said(request + request)).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(("headers", "status"), [(b"", 200), (b"host: a\r\n", 200), (b"host: a\r\nhost: a\r\n", 400)])
def test_a_caller_of_before_that_header_needs_none_and_has_not_two(headers: bytes, status: int) -> None:
    assert talk(said(b"GET /now HTTP/1.0\r\n" + headers + b"\r\n")).startswith(b"HTTP/1.1 %d" % status)


def test_requests_sent_without_waiting_are_answered_in_their_order() -> None:
    found = talk(
        said(
            POST % b"one"
            + b"GET /now HTTP/1.1\r\nhost: a\r\n\r\n"
            + POST % b"two"
            + b"GET /now HTTP/1.1\r\nhost: a\r\n\r\n"
        )
    )
    places = [found.index(text) for text in (b"/later one", b"now", b"/later two")]
    assert places == sorted(places)
    assert found.count(b"HTTP/1.1 200") == 4
    assert not found.endswith(b"<closed>")


def test_what_comes_behind_a_request_that_closes_is_not_answered() -> None:
    found = talk(said(b"GET /now HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" + POST % b"two"))
    assert found.count(b"HTTP/1.1") == 1
    assert b"connection: close" in found
    assert found.endswith(b"<closed>")


@pytest.mark.parametrize(
    "request_line",
    [b"GET /now HTTP/1.0\r\nconnection: keep-alive\r\n", b"GET /now HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"],
)
def test_a_caller_that_wants_an_end_gets_it(request_line: bytes) -> None:
    found = talk(said(request_line + b"\r\n"))
    assert b" 200 OK" in found
    assert found.endswith(b"now<closed>")


def test_a_draining_service_ends_every_connection_with_its_answer() -> None:
    service = Echo()
    service.draining = True
    found = talk(said(POST % b"abc"), service)
    assert b"connection: close" in found
    assert found.endswith(b"/later abc<closed>")


def test_head_has_the_length_and_no_body() -> None:
    found = talk(said(b"HEAD /now HTTP/1.1\r\nhost: a\r\n\r\n"))
    assert b"content-length: 3" in found
    assert found.endswith(b"\r\n\r\n")


def test_a_caller_that_asks_whether_to_go_on_is_told_to() -> None:
    async def talking(site: Site, reader: Any, writer: Any) -> bytes:
        writer.write(b"POST /later HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        found: bytes = await reader.readuntil(b"abc")
        return found

    assert b" 200 OK" in talk(talking)


def test_a_caller_of_before_that_question_is_not_answered_in_between() -> None:
    found = talk(said(b"POST /later HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc"))
    assert found.startswith(b"HTTP/1.1 200")


def test_a_caller_that_asks_whether_to_go_on_may_be_refused() -> None:
    found = talk(said(b"POST /refused HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"))
    assert found.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in found


def test_a_caller_that_has_said_all_still_gets_its_answers() -> None:
    assert talk(said(POST % b"one" + POST % b"two", half_close=True)).endswith(b"/later two<closed>")


@pytest.mark.parametrize("body", [b"x" * 10_000_000, b"\r\n".join([b"100000", b"x" * 0x100000] * 10)])
def test_a_refused_caller_sees_its_answer_though_it_goes_on_sending(body: bytes) -> None:
    framing = b"transfer-encoding: chunked" if body.startswith(b"100000") else b"content-length: %d" % len(body)

    async def talking(site: Site, reader: Any, writer: Any) -> bytes:
        writer.write(
            b"POST /%b HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n" % (b"refused" if b"length" in framing else b"later", framing)
        )
        writer.write(body)
        found: bytes = await reader.readuntil(b"refused" if b"length" in framing else b"too large")
        return found

    assert b"HTTP/1.1 413" in talk(talking)


def test_the_body_of_what_was_answered_early_is_skipped_and_the_next_request_is_answered() -> None:
    found = talk(said(b"POST /now HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc" + POST % b"two"))
    assert found.count(b"HTTP/1.1 200") == 2
    assert found.endswith(b"/later two")


@pytest.mark.parametrize("upgrade", [b"GET /later", b"POST /later", b"CONNECT host:1"])
def test_another_protocol_is_not_spoken(upgrade: bytes) -> None:
    length = b"content-length: 3\r\n" if upgrade.startswith(b"POST") else b""
    head = upgrade + b" HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n" + length + b"\r\n"
    found = talk(said(head + b"abc\x00\xff"))
    assert found.startswith(b"HTTP/1.1 200")
    assert found.endswith(b"<closed>")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (b"/a/b?x=%00", b"/a/b"), (b"http://host/a%20b", b"/a b"), (b"/%ff%2e", "/\ufffd.".encode()), (b"*", b"*"),
        (b"/a-b_c.d", b"/a-b_c.d"),
    ],
)  # fmt: skip
def test_a_path_is_decoded_and_a_query_is_no_part_of_it(url: bytes, path: bytes) -> None:
    assert talk(said(b"OPTIONS " + url + b" HTTP/1.1\r\nhost: a\r\n\r\n")).endswith(b"\r\n\r\n" + path + b" ")


@pytest.mark.parametrize("early", [b"", POST % b"one"])
@pytest.mark.parametrize(
    "wrong", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 100_000, b"\x16\x03\x01"]
)
def test_what_is_no_http_is_told_so_after_what_was(early: bytes, wrong: bytes) -> None:
    found = talk(said(early + wrong))
    assert found.count(b"HTTP/1.1 200") == bool(early)
    assert found.count(b"HTTP/1.1 400") == 1
    assert found.endswith((b"Invalid HTTP request received.<closed>", b"Headers too large.<closed>"))


def test_a_body_that_stops_being_one_is_gone_for_the_service() -> None:
    service = Echo()
    found = talk(said(b"POST /later HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nzz"), service)
    assert b"HTTP/1.1 400" in found
    assert len(service.went) == 1


@pytest.mark.parametrize(
    "sent", [b"POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nab", POST % b"abc" + POST % b"ab"]
)
def test_a_caller_that_goes_away_in_a_body_is_gone_once(sent: bytes) -> None:
    service = Echo()

    async def talking(site: Site, reader: Any, writer: Any) -> None:
        writer.write(sent)
        await asyncio.sleep(0.05)

    talk(talking, service)
    assert len(service.went) == 1


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"POST /later HTTP/1.1\r\nhost: a\r\nx: ", b""),
        (b"POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nab", b"slow"),
        (b"POST /now HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nab", b"now"),
        (b"GET /now HTTP/1.1\r\nhost: a\r\n\r\n", b"now"),
    ],
    ids=["nothing", "headers", "body", "body of what was answered", "idle"],
)
def test_nobody_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch, sent: bytes, answered: bytes) -> None:
    for name in ("HEADER_SECONDS", "BODY_SECONDS", "IDLE_SECONDS", "TAKE_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(http, name, 0.05)

    async def talking(site: Site, reader: Any, writer: Any) -> Any:
        writer.write(sent)
        await asyncio.sleep(0.2)
        site.expire()
        found = await reader.read()
        for _ in range(5):
            await asyncio.sleep(0.1)
            site.expire()
        assert not site.connections
        return found

    assert talk(talking).endswith(answered)


def test_a_request_that_is_worked_on_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEADER_SECONDS", "BODY_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(http, name, 0.01)

    async def talking(site: Site, reader: Any, writer: Any) -> None:
        writer.write(b"GET /kept HTTP/1.1\r\nhost: a\r\n\r\n")
        await asyncio.sleep(0.1)
        site.expire()
        await asyncio.sleep(0.05)
        service.kept[0].reply(HttpResponse(200, b"at last", PLAIN))
        assert (await reader.readuntil(b"last")).startswith(b"HTTP/1.1 200")

    service = Echo()
    talk(talking, service)


def test_a_caller_that_does_not_take_its_answers_is_neither_read_nor_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TAKE_SECONDS", 0.2)

    class Much(Echo):
        begun = 0

        def begin(self, request: HttpRequest) -> None:
            self.begun += 1
            request.reply(HttpResponse(200, b"x" * 100_000, PLAIN))

    async def talking(site: Site, reader: Any, writer: Any) -> None:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader._transport.pause_reading()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 20_000)
        await asyncio.sleep(0.5)
        assert service.begun < 20_000
        site.expire()
        await asyncio.sleep(0.1)
        assert not site.connections

    service = Much()
    talk(talking, service)


def test_a_connection_finishes_what_was_begun_and_no_more() -> None:
    async def talking(site: Site, reader: Any, writer: Any) -> Any:
        writer.write(POST % b"one" + POST % b"two")
        while not any(connection._begun for connection in site.connections):
            await asyncio.sleep(0)
        for connection in site.connections:
            connection.finish()
        return await reader.read()

    found = talk(talking)
    assert found.count(b"HTTP/1.1 200") == 2
    assert found.count(b"connection: close") == 1


def test_an_idle_connection_finishes_at_once() -> None:
    async def talking(site: Site, reader: Any, writer: Any) -> Any:
        writer.write(b"GET /now HTTP/1.1\r\nhost: a\r\n\r\n")
        await reader.readuntil(b"now")
        for connection in site.connections:
            connection.finish()
        return await reader.read()

    assert talk(talking) == b""
