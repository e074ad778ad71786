"""The server: one process a core, each with a listening socket of its own, which drains on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from email.utils import formatdate

import uvloop

from runtime.serving.application import Application
from runtime.serving.http import Connection, Site

DRAIN_SECONDS = 3.0  # after SIGTERM: answers say "connection: close", /readyz says 503, and all are still answered
FINISH_SECONDS = 20.0
BACKLOG = 2048
ECS_UNITS_PER_CORE = 1024


def workers() -> int:
    """One a core of the task: of TASK_CPU in ECS units where the task definition sets it, else of the machine."""
    units = os.environ.get("TASK_CPU", "")
    return max(1, int(units) // ECS_UNITS_PER_CORE) if units.isdigit() else len(os.sched_getaffinity(0))


def run(application: Application, listening: list[socket.socket]) -> None:
    """Answer until SIGTERM, a process a socket, then finish what was begun."""
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection needs to look at it, and forked workers share its memory
    gc.set_threshold(50_000, 20, 100)
    if len(listening) == 1:
        _work(application, listening[0])
        return
    children = [_forked(application, listening, worker) for worker in range(len(listening))]
    for each in listening:
        each.close()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _signal(children, signal.SIGTERM))
    _, status = _wait_for_any()
    _signal(children, signal.SIGTERM)  # a worker that ends alone ends the task: another takes its place
    for _ in children[1:]:
        _wait_for_any()
    sys.exit(os.waitstatus_to_exitcode(status) and 1)


def _forked(application: Application, listening: list[socket.socket], worker: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        application.telemetry.become(worker)
        if worker:  # what looks at all workers is done by the first
            application.beside = [application.access.write_forever]
        for other in [*listening[:worker], *listening[worker + 1 :]]:
            other.close()
        _work(application, listening[worker])
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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving(application, listening))


async def serving(application: Application, listening: socket.socket) -> None:
    """Answer until SIGTERM. Then go on for DRAIN_SECONDS, each answer closing its connection; then finish."""
    loop = asyncio.get_running_loop()
    site = Site(application, loop)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    server = await loop.create_server(lambda: Connection(site), sock=listening, backlog=BACKLOG)
    beside = [loop.create_task(_keep_time(site, application))]
    beside += [loop.create_task(work()) for work in application.beside]
    try:
        await told.wait()
        application.draining = True
        told.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), DRAIN_SECONDS)  # told twice, it does not wait
        server.close()
        await _finish(site)
    finally:
        for task in beside:
            task.cancel()
        application.access.write()


async def _keep_time(site: Site, application: Application) -> None:
    while True:
        site.common = b"date: %b\r\n%b" % (formatdate(usegmt=True).encode(), application.common)
        await asyncio.sleep(1.0)
        site.expire()


async def _finish(site: Site) -> None:
    """Until every connection has ended, FINISH_SECONDS at most."""
    until = site.loop.time() + FINISH_SECONDS
    while site.connections and site.loop.time() < until:
        for connection in list(site.connections):
            connection.finish()
        await asyncio.sleep(0.02)


def listening_sockets(host: str, port: int, processes: int) -> list[socket.socket]:
    """One a process: the kernel spreads connections over them, where one process would take all from a shared one."""
    listening = [
        socket.create_server((host, port), backlog=BACKLOG, reuse_port=processes > 1) for _ in range(processes)
    ]
    for each in listening:
        each.setblocking(False)
    return listening
