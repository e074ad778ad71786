"""Requests that arrive in one tick of the event loop are predicted together. There is no timer, so nobody waits."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from runtime.serving.rows import Batch


class Engine(Protocol):
    """Thread-safe, and a row's prediction does not depend on the rows beside it."""

    def predict(self, codes: bytes, rows: int) -> list[Any]:
        """One prediction a row."""


class MicroBatcher:
    """Only checked rows come here, so that no request can hurt another of its batch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[Batch, asyncio.Future[list[Any]]]] = []

    def submit(self, batch: Batch) -> asyncio.Future[list[Any]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        self._waiting.append((batch, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._predict)
        return future

    def _predict(self) -> None:
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1:
            batch = waiting[0][0]
            codes, rows = batch.codes, batch.rows
        else:
            codes = b"".join([batch.codes for batch, _ in waiting])
            rows = sum([batch.rows for batch, _ in waiting])
        try:
            found = self._engine.predict(codes, rows)
        except Exception as error:  # each caller learns of it; the loop's own log has the trace
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        at = 0
        for batch, future in waiting:
            if not future.done():  # done: the caller went away
                future.set_result(found[at : at + batch.rows])
            at += batch.rows
