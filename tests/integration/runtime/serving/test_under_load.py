"""What a service does when there is too much, when it is replaced, and after many requests."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MANY_REQUESTS = 20_000
FLAT_MB = 8


def post(body: bytes, close: bool = False) -> bytes:
    ending = "Connection: close\r\n" if close else ""
    head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{ending}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    return int(head.split(" ")[1]), head, await reader.readexactly(length)


class BalancerConnection:
    """A load balancer's one connection: it keeps it, and opens another when the answer said that it closes.

    `port` is asked for each new connection, as a target group decides where a new connection goes.
    """

    def __init__(self, port: Callable[[], int], bodies: list[bytes], expected: list[float]) -> None:
        self._port, self._bodies, self._expected = port, bodies, expected
        self.statuses: list[int] = []
        self.wrong = 0

    async def run(self, until: asyncio.Event) -> None:
        reader, writer, turn = None, None, 0
        while not until.is_set():
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port())
            turn = (turn + 1) % len(self._bodies)
            writer.write(post(self._bodies[turn]))
            status, head, body = await answer(reader)
            self.statuses.append(status)
            self.wrong += status == 200 and json.loads(body)["predictions"] != [self._expected[turn]]
            if "connection: close" in head:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()


@pytest.mark.parametrize("cpu", ["1024", "2048"], ids=["one worker", "two workers"])
def test_no_request_fails_while_a_task_is_replaced(serve: Any, instances: Any, expected: list[float], cpu: str) -> None:
    """The new task is ready, new connections go to it, and the old one gets SIGTERM while its connections are busy."""
    bodies = [json.dumps({"instances": [row]}).encode() for row in instances[:200]]

    async def replacement(old: Any, new: Any) -> list[BalancerConnection]:
        target = [old]
        callers = [BalancerConnection(lambda: target[0].port, bodies, expected) for _ in range(16)]
        end = asyncio.Event()
        running = [asyncio.create_task(caller.run(end)) for caller in callers]
        await asyncio.sleep(1)
        target[0] = new
        old.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(old.process.wait, 40)
        await asyncio.sleep(0.5)
        end.set()
        await asyncio.gather(*running)  # a connection that broke raises here
        assert code in (0, -signal.SIGTERM)
        return callers

    with serve(TASK_CPU=cpu) as old, serve(TASK_CPU=cpu) as new:
        callers = asyncio.run(replacement(old, new))
    statuses = [status for caller in callers for status in caller.statuses]
    assert set(statuses) == {200}
    assert min(len(caller.statuses) for caller in callers) > 2
    assert sum(caller.wrong for caller in callers) == 0


def test_a_task_that_ends_says_so_and_still_answers(serve: Any, instances: Any) -> None:
    with serve(TASK_CPU="1024") as served:
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        ready = served.ask("GET", "/readyz")
        assert ready.status == 503
        found = served.invoke({"instances": instances[:1]})
        assert (found.status, found.headers["connection"]) == (200, "close")
        assert served.process.wait(40) in (0, -signal.SIGTERM)


def test_past_the_limit_callers_are_told_to_come_again_and_the_others_are_answered(serve: Any, instances: Any) -> None:
    """600 requests are begun and not finished; what comes then is answered at once with 429."""
    body = json.dumps({"instances": instances[:1]}).encode()
    with serve(TASK_CPU="1024") as served:
        begun: list[socket.socket] = []
        try:
            for _ in range(600):
                begun.append(served.raw())
                begun[-1].sendall(post(body)[:-1])
            time.sleep(1)
            refused = served.ask("POST", "/invocations", body)
            assert refused.status == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert set(refused.document["error"]) >= {"row", "column", "found", "expected"}
            assert served.ask("GET", "/ping").status == 200
            statuses = []
            for raw in begun:
                try:
                    raw.sendall(body[-1:])
                    statuses.append(int(raw.recv(65536).split(b" ")[1]))
                except ConnectionError:  # it was answered and closed before the body was whole
                    statuses.append(429)
            assert set(statuses) == {200, 429}
            assert statuses.count(200) >= 500
        finally:
            for raw in begun:
                raw.close()
        assert served.invoke({"instances": instances[:1]}).status == 200


def test_a_large_batch_does_not_keep_health_checks_waiting(serve: Any, instances: Any) -> None:
    """The largest batches, while /ping is asked: none waits for all of them."""
    body = json.dumps({"instances": (instances * 5)[:10_000]}).encode()

    async def both(served: Any) -> list[float]:
        batches = [asyncio.to_thread(served.ask, "POST", "/invocations", body) for _ in range(4)]
        running = asyncio.gather(*batches)
        waits = []
        while not running.done():
            begin = time.monotonic()
            found = await asyncio.to_thread(served.ask, "GET", "/ping")
            assert found.status == 200
            waits.append(time.monotonic() - begin)
        assert [found.status for found in await running] == [200] * 4
        return waits

    with serve(TASK_CPU="1024") as served:
        assert len(asyncio.run(both(served))) >= 2


def test_memory_is_flat_over_many_requests(serve: Any, instances: Any) -> None:
    """Good and bad ones; the buffers for capture and access logs fill in the first half."""
    bodies = [json.dumps({"instances": instances[at : at + 1 + at % 3]}).encode() for at in range(200)]
    bodies += [b"{", b'{"instances": [{}]}']

    async def half(port: int) -> None:
        async def one(start: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for turn in range(start, start + MANY_REQUESTS // 2 // 8):
                writer.write(post(bodies[turn % len(bodies)]))
                await answer(reader)
            writer.close()

        await asyncio.gather(*[one(13 * index) for index in range(8)])

    with serve(TASK_CPU="1024") as served:
        asyncio.run(half(served.port))
        before = resident_mb(served.process.pid)
        asyncio.run(half(served.port))
        after = resident_mb(served.process.pid)
    assert after - before < FLAT_MB


def resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_every_worker_of_a_task_answers(serve: Any, instances: Any) -> None:
    """Of 64 connections at once none of two workers gets less than a tenth."""
    body = json.dumps({"instances": instances[:100]}).encode()

    async def ask(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(30):
            writer.write(post(body))
            assert (await answer(reader))[0] == 200
        writer.close()

    async def many(port: int) -> None:
        await asyncio.gather(*[ask(port) for _ in range(64)])

    with serve(TASK_CPU="2048") as served:
        task = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
        workers = [int(worker) for worker in task.read_text().split()]
        before = [processor_ticks(worker) for worker in workers]
        asyncio.run(many(served.port))
        used = [processor_ticks(worker) - start for worker, start in zip(workers, before, strict=True)]
    assert len(used) == 2
    assert min(used) > sum(used) / 10


def processor_ticks(process: int) -> int:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)
