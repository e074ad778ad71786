"""The hand-over of answered requests to monitoring: bounded, and a request never waits for it."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import msgspec

from runtime.serving.rows import Batch

MOST_REQUESTS = 4096
MOST_ROWS = 65_536


class CapturedRequest(msgspec.Struct, frozen=True, gc=False):
    """One answered request: Unix time in seconds, its id, the rows as the engine saw them, and what it answered."""

    at: float
    request_id: str
    batch: Batch
    predictions: list[Any]


class Capture:
    """Keeps the newest requests until somebody takes them; the oldest give way."""

    def __init__(self) -> None:
        self._records: deque[CapturedRequest] = deque()
        self._rows = 0

    def offer(self, request_id: str, batch: Batch, predictions: list[Any]) -> int:
        """Returns how many records gave way: 0 or more; a request larger than the buffer is itself not kept."""
        if batch.rows > MOST_ROWS:
            return 1
        records, given = self._records, 0
        records.append(CapturedRequest(time.time(), request_id, batch, predictions))
        self._rows += batch.rows
        while len(records) > MOST_REQUESTS or self._rows > MOST_ROWS:
            self._rows -= records.popleft().batch.rows
            given += 1
        return given

    def take(self) -> list[CapturedRequest]:
        """All records, oldest first; they are the caller's from now on."""
        records, self._records, self._rows = list(self._records), deque(), 0
        return records
