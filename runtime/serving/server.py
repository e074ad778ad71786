"""The server: one process a core behind one listening socket, which drains on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.serving.application import Application

HEADER_SECONDS = 10.0
HEADER_BYTES = 64 * 1024
IDLE_SECONDS = 75  # longer than the load balancer's 60, so that it never sends to a connection that just closed
DRAIN_SECONDS = 3.0  # after SIGTERM: answers say "connection: close", /readyz says 503, and all are still answered
FINISH_SECONDS = 20
BACKLOG = 2048
ECS_UNITS_PER_CORE = 1024


class Protocol(HttpToolsProtocol):
    """uvicorn's, with a bound on the time and the size of headers."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.headers_since: float | None = self.loop.time()
        self.header_bytes = 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.headers_since, self.header_bytes = self.loop.time(), 0

    def on_headers_complete(self) -> None:
        self.headers_since = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.headers_since is not None and not self.transport.is_closing():
            self.header_bytes += len(data)
            if self.header_bytes > HEADER_BYTES:
                self.send_400_response("Headers too large.")


class Server(uvicorn.Server):
    """On the first SIGTERM it goes on answering for DRAIN_SECONDS, each answer closing its connection; then it ends."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._tasks = [self._loop.create_task(self._end_the_slow()), self._loop.create_task(self._write_access_log())]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for task in self._tasks:
            task.cancel()
        self._application.access.write()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._application.draining or not self.started:
            self.should_exit = True
            return
        self._application.draining = True
        self._loop.call_soon_threadsafe(self._loop.call_later, DRAIN_SECONDS, self._exit)

    def _exit(self) -> None:
        self.should_exit = True

    async def _end_the_slow(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._application.end_slow_bodies()
            before = self._loop.time() - HEADER_SECONDS
            for connection in list(self.server_state.connections):
                since = getattr(connection, "headers_since", None)
                if since is not None and since < before:
                    connection.transport.close()

    async def _write_access_log(self) -> None:
        await self._application.access.write_forever()


def workers() -> int:
    """One a core of the task: of TASK_CPU in ECS units where the task definition sets it, else of the machine."""
    units = os.environ.get("TASK_CPU", "")
    return max(1, int(units) // ECS_UNITS_PER_CORE) if units.isdigit() else len(os.sched_getaffinity(0))


def run(application: Application, listening: socket.socket, processes: int) -> None:
    """Answer until SIGTERM, then finish what was begun."""
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection needs to look at it, and forked workers share its memory
    gc.set_threshold(50_000, 20, 100)
    if processes == 1:
        _work(application, listening)
        return
    children = [_forked(application, listening, worker) for worker in range(processes)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _signal(children, signal.SIGTERM))
    _, status = _wait_for_any()
    _signal(children, signal.SIGTERM)  # a worker that ends alone ends the task: another takes its place
    for _ in children[1:]:
        _wait_for_any()
    sys.exit(os.waitstatus_to_exitcode(status) and 1)


def _forked(application: Application, listening: socket.socket, worker: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        application.telemetry.become(worker)
        _work(application, listening)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def _wait_for_any() -> tuple[int, int]:
    return os.waitpid(-1, 0)


def _signal(children: list[int], number: int) -> None:
    for child in children:
        try:
            os.kill(child, number)
        except ProcessLookupError:
            continue


def _work(application: Application, listening: socket.socket) -> None:
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    Server(config, application).run([listening])


def listening_socket(host: str, port: int) -> socket.socket:
    listening = socket.create_server((host, port), backlog=BACKLOG, reuse_port=False)
    listening.setblocking(False)
    return listening
