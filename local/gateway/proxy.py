"""HTTP proxy on loopback through which AWS's public names reach the gateway; every other name is refused.

`https://` names come as CONNECT and are tunnelled as they are, so the client's own TLS check runs against the
gateway's certificate. `http://` requests (a load balancer's listener without a certificate) are sent on over TLS.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from local.settings import HOST, Settings

_ALLOWED = re.compile(r"(?:[a-z0-9*_-]+\.)+(?:amazonaws\.com|on\.aws)")
_HEAD_LIMIT = 64 * 1024


def reaches_gateway(host: str) -> bool:
    """Whether the embedded AWS answers for this host name."""
    return _ALLOWED.fullmatch(host.lower()) is not None


async def serve(settings: Settings) -> asyncio.Server:
    """Start the proxy; it runs until the returned server is closed."""
    trust = ssl.create_default_context(cafile=str(settings.ca_bundle))

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _carry(settings, trust, reader, writer)
        except (OSError, EOFError, ValueError):
            pass  # the client or the gateway went away: nothing is left to say to either
        finally:
            writer.close()

    return await asyncio.start_server(client, HOST, settings.proxy_port, limit=_HEAD_LIMIT)


async def _carry(
    settings: Settings, trust: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    url = urlsplit(f"//{target}" if method == "CONNECT" else target)
    if url.hostname is None or not reaches_gateway(url.hostname):
        writer.write(_refusal(url.hostname or target))
        await writer.drain()
        return
    if method == "CONNECT":
        gateway_reader, gateway_writer = await asyncio.open_connection(HOST, settings.port)
        writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
    else:
        gateway_reader, gateway_writer = await asyncio.open_connection(
            HOST, settings.port, ssl=trust, server_hostname=HOST
        )
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        gateway_writer.write(f"{method} {path} {version}\r\n".encode("latin-1"))
        gateway_writer.write(_one_request(head.split(b"\r\n", 1)[1]))
    await asyncio.gather(_pump(reader, gateway_writer), _pump(gateway_reader, writer))


def _one_request(headers: bytes) -> bytes:
    """Headers without the hop's own; one request a connection, since the next may name another host."""
    kept = [
        line
        for line in headers.split(b"\r\n")
        if not line.lower().startswith((b"connection:", b"proxy-connection:", b"proxy-authorization:"))
    ]
    return b"\r\n".join([b"Connection: close", *kept])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_HEAD_LIMIT):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def _refusal(host: str) -> bytes:
    text = f"the embedded AWS answers only for *.amazonaws.com and *.on.aws, not for {host}\n".encode()
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + text


@contextmanager
def in_background(settings: Settings) -> Iterator[None]:
    """The proxy in a thread, for a process that is not the embedded AWS itself."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(serve(settings))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
