"""HTTP/1.1 on one connection: what is read and written, in which order, and for how long anybody waits.

httptools parses; what a request means is the service's matter. Requests that a caller sends without waiting are worked
on together and answered in their order.
"""

from __future__ import annotations

import asyncio
import re
import urllib.parse
from collections import deque
from http import HTTPStatus
from typing import Any, Protocol

import httptools
import msgspec

HEADER_SECONDS = 10.0
HEADER_BYTES = 64 * 1024  # that bring no byte of a body: headers, also those behind chunks, and what chunks say
BODY_SECONDS = 10.0
TAKE_SECONDS = 30.0  # for the caller to take an answer
IDLE_SECONDS = 75.0  # longer than the load balancer's 60, so that it never sends to a connection that just closed
PIECE_BYTES = 16 * 1024
LINGER_SECONDS = 2.0  # so long is read what a refused caller still sends, or it would not see its answer

_WANTED = {
    b"host", b"content-length", b"content-type", b"content-encoding", b"accept", b"x-request-id", b"expect",
    b"inference-header-content-length",
}  # fmt: skip
_PLAIN = re.compile(rb"/[A-Za-z0-9/._-]*")
# RFC 9110 7.2 and RFC 3986 3.2.2: an address in brackets or a name, which may be empty, and perhaps a port.
_HOST = re.compile(rb"(\[[\w:.~!$&'()*+,;=-]+\]|([\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(:[0-9]*)?[ \t]*")
_STATUS = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
    if status >= 200
}
_NEVER = float("inf")


class HttpResponse(msgspec.Struct, frozen=True, gc=False):
    """headers: whole lines, with the content type. An answer that closes ends the connection behind it."""

    status: int
    body: bytes
    headers: bytes
    closes: bool = False


class HttpRequest:
    """One request. `headers` has only those that a service needs, several hosts as one text that is none; `length` is
    None where none was announced."""

    __slots__ = (
        "_answer",
        "_connection",
        "chunks",
        "closes",
        "complete",
        "headers",
        "length",
        "method",
        "path",
        "state",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._answer: HttpResponse | None = None
        self.path = ""
        self.method = b""
        self.headers: dict[bytes, bytes] = {}
        self.length: int | None = None
        self.chunks: list[bytes] = []
        self.complete = self.closes = False
        self.state: Any = None  # the service's own

    @property
    def answered(self) -> bool:
        return self._answer is not None

    def body(self) -> bytes:
        return b"".join(self.chunks)

    def reply(self, answer: HttpResponse) -> None:
        """At once or later, once, and also when the caller is gone."""
        self._answer = answer
        self._connection.flush()


class Responder(Protocol):
    """What answers. Every request that was begun is answered, or is gone; none of these may raise."""

    draining: bool

    def begin(self, request: HttpRequest) -> None:
        """The headers are complete. A reply now refuses the body."""

    def misaddressed(self, request: HttpRequest) -> None:
        """The headers are complete and name no host, several, or something else: reply."""

    def unannounced(self, request: HttpRequest, size: int) -> None:
        """So many bytes came of a body whose length was not announced."""

    def answer(self, request: HttpRequest) -> None:
        """The body is complete."""

    def slow(self, request: HttpRequest) -> None:
        """The body did not come in time: reply."""

    def gone(self, request: HttpRequest) -> None:
        """The caller went away before the body was complete; no reply is needed."""


class Site:
    """What the connections of a worker share. common: header lines of every answer."""

    def __init__(self, service: Responder, loop: asyncio.AbstractEventLoop) -> None:
        self.service, self.loop = service, loop
        self.connections: set[Connection] = set()
        self.common = b""

    def expire(self) -> None:
        """End what takes too long; to be called every second or so."""
        now = self.loop.time()
        for connection in [connection for connection in self.connections if connection.until < now]:
            connection.expire()


class Connection(asyncio.Protocol):
    """`until`: when the connection has waited too long for what it waits for."""

    _transport: asyncio.Transport

    def __init__(self, site: Site) -> None:
        self._site, self._service, self._loop = site, site.service, site.loop
        self._parser = httptools.HttpRequestParser(self)
        self._begun: deque[HttpRequest] = deque()  # not yet answered, in their order
        self._receiving: HttpRequest | None = None
        self._in_headers, self._bytes_beside, self._url = True, 0, b""
        self._host = b""  # the last that was looked at and is one
        self._ending = self._paused = self._full = False
        self._held = b""  # what was read before the connection paused
        self.until = self._loop.time() + HEADER_SECONDS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._site.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._site.connections.discard(self)
        self._ending = True
        self._forget()
        self._begun.clear()
        del self._parser  # which refers to the connection

    def data_received(self, data: bytes) -> None:
        if self._held:
            self._held += data
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        """In pieces, so that a caller who does not take its answers cannot have more made for it."""
        for start in range(0, len(data), PIECE_BYTES):
            if self._paused:
                self._held = data[start:]
                return
            if self._ending:
                return
            self._parse(data[start : start + PIECE_BYTES])

    def _read_on(self) -> None:
        held, self._held = self._held, b""
        self._read(held)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # no other protocol is spoken: the request was answered as it is, and its answer closes
        except httptools.HttpParserCallbackError:
            self._transport.abort()
            raise
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")
            return
        self._bytes_beside += len(data)
        if self._bytes_beside > HEADER_BYTES:
            self._refuse("Headers too large.")

    def eof_received(self) -> bool:
        """A caller that has said all may still listen."""
        if self._begun and self._begun[-1].complete:
            self._begun[-1].closes = True
            return True
        return False

    def pause_writing(self) -> None:
        self._wait(TAKE_SECONDS)
        self._full = True
        self._pause()

    def resume_writing(self) -> None:
        self._full = False
        self._resume()
        self._wait(_NEVER if self._begun else IDLE_SECONDS)

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._url = b""
        self._in_headers, self._bytes_beside = True, 0
        self._receiving = None if self._ending else HttpRequest(self)
        self._wait(HEADER_SECONDS)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _WANTED and self._in_headers and self._receiving is not None:  # after a body come no headers
            headers = self._receiving.headers
            headers[name] = b"%b and %b" % (headers[name][:40], value) if name == b"host" and name in headers else value

    def on_headers_complete(self) -> None:
        self._in_headers = False
        request, parser = self._receiving, self._parser
        if request is None:
            return
        request.method = parser.get_method()
        version = parser.get_http_version()
        request.closes = not parser.should_keep_alive() or version != "1.1" or parser.should_upgrade()
        request.path = self._url.decode() if _PLAIN.fullmatch(self._url) else _path(self._url)
        length = request.headers.get(b"content-length")
        request.length = None if length is None else int(length)  # the parser refuses what is not a number
        self._begun.append(request)
        host = request.headers.get(b"host")
        if host == self._host or self._is_addressed(host, version):
            self._service.begin(request)
        else:
            self._service.misaddressed(request)
        if b"expect" in request.headers and not request.answered and self._begun[0] is request and version == "1.1":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._wait(BODY_SECONDS)

    def _is_addressed(self, host: bytes | None, version: str) -> bool:
        """Whether a request has the one host that RFC 9112 3.2 asks for."""
        if host is None:
            return version < "1.1"
        if not _HOST.fullmatch(host):
            return False
        self._host = host
        return True

    def on_body(self, body: bytes) -> None:
        self._bytes_beside = 0
        request = self._receiving
        if request is None or request.answered:
            return
        request.chunks.append(body)
        if request.length is None:
            self._service.unannounced(request, len(body))

    def on_message_complete(self) -> None:
        request, self._receiving = self._receiving, None
        if request is None:
            return
        request.complete = True
        if request.answered:
            self._wait(IDLE_SECONDS)
            return
        self._wait(_NEVER)
        self._service.answer(request)
        if len(self._begun) > 1:  # the rest may wait in the caller's own buffers
            self._pause()

    # Answers and ends.

    def flush(self) -> None:
        """Write the answers that are next in order."""
        if self._ending:
            return
        while self._begun and (answer := self._begun[0]._answer) is not None:
            request = self._begun.popleft()
            closes = request.closes or answer.closes or self._service.draining
            self._transport.write(
                b"%b%bcontent-length: %d\r\n%b%b\r\n%b"
                % (
                    _STATUS[answer.status],
                    self._site.common,
                    len(answer.body),
                    answer.headers,
                    b"connection: close\r\n" if closes else b"",
                    answer.body if request.method != b"HEAD" else b"",
                )
            )
            if closes:
                self._end(linger=not request.complete)
                return
        if not self._begun or not self._begun[0].complete:  # nothing is worked on
            self._resume()
            if self._receiving is None:
                self._wait(IDLE_SECONDS)

    def expire(self) -> None:
        """What the connection waited for did not come."""
        request = self._receiving
        if self._ending or self._full:
            self._transport.abort()
        elif request is not None and not self._in_headers and not request.answered:
            self._wait(TAKE_SECONDS)  # until those before it are answered
            self._service.slow(request)
        else:
            self._end(linger=False)

    def finish(self) -> None:
        """No further request is taken: the connection ends when those that were begun are answered."""
        if self._begun:
            self._begun[-1].closes = True
        elif not self._ending:
            self._end(linger=False)

    def _refuse(self, message: str) -> None:
        """What is no HTTP gets plain text, in its turn."""
        if self._ending:
            return
        self._forget()
        last = HttpRequest(self)
        self._begun.append(last)
        last.reply(HttpResponse(400, message.encode(), b"content-type: text/plain; charset=utf-8\r\n", closes=True))

    def _end(self, linger: bool) -> None:
        self._ending = True
        self._forget()
        self._begun.clear()
        if linger and self._transport.can_write_eof():
            self._transport.write_eof()
            self.until = self._loop.time() + LINGER_SECONDS
            return
        self.until = self._loop.time() + TAKE_SECONDS
        self._transport.close()

    def _forget(self) -> None:
        """The request that was being received will not become complete."""
        receiving, self._receiving = self._receiving, None
        if receiving is not None and not receiving.answered and receiving in self._begun:
            self._begun.remove(receiving)
            self._service.gone(receiving)

    def _wait(self, seconds: float) -> None:
        if not self._full:
            self.until = self._loop.time() + seconds

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._full and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
            if self._held:
                self._loop.call_soon(self._read_on)


def _path(url: bytes) -> str:
    """The path of a request target; "" where it has none."""
    try:
        path = httptools.parse_url(url).path
    except httptools.HttpParserError:
        return ""
    return urllib.parse.unquote((path or b"").decode("latin-1"), errors="replace")
