"""Access logs: JSON lines on standard output, of one answer in SAMPLE and of every refusal, written in bulk.

A request only appends a tuple; the lines are made and written every second, by a thread.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from typing import Any

import msgspec

SAMPLE = 1000
MOST_WAITING = 2000  # lines a second; more are counted and left out
SECONDS = 1.0


class AccessLog:
    def __init__(self, release: dict[str, str]) -> None:
        self._release = release
        self._lines: deque[tuple[float, str, str, int, int, float]] = deque()
        self._said: list[dict[str, Any]] = []
        self._count = self._left_out = 0

    def answered(self, request_id: str, path: str, status: int, rows: int, seconds: float) -> None:
        self._count += 1
        if status == 200 and self._count % SAMPLE != 1:
            return
        if len(self._lines) >= MOST_WAITING:
            self._left_out += 1
            return
        self._lines.append((time.time(), request_id, path, status, rows, seconds))

    def say(self, document: dict[str, Any]) -> None:
        """A line of its own; for what is rare."""
        self._said.append(document)

    async def write_forever(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            await asyncio.to_thread(self.write)

    def write(self) -> None:
        """Write what waits; also at the end of a worker."""
        lines, self._lines = self._lines, deque()
        said, self._said = self._said, []
        left_out, self._left_out = self._left_out, 0
        names = ("at", "request_id", "path", "status", "rows", "seconds")
        text = [msgspec.json.encode({**dict(zip(names, line, strict=True)), **self._release}) for line in lines]
        text += [msgspec.json.encode(document) for document in said]
        if left_out:
            text.append(msgspec.json.encode({"at": time.time(), "left_out": left_out, **self._release}))
        if text:
            sys.stdout.buffer.write(b"\n".join(text) + b"\n")
            sys.stdout.buffer.flush()
