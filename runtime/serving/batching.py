"""Requests that arrive together are predicted together: as soon as a tick of the event loop brings no more of them.

There is no timer: where nobody else asks, a request waits for one look at the sockets, some microseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from runtime.serving.rows import Batch

Done = Callable[[list[Any] | Exception], None]


class Engine(Protocol):
    """Thread-safe, and a row's prediction does not depend on the rows beside it."""

    def predict(self, codes: bytes, rows: int) -> list[Any]:
        """One prediction a row. codes: rows x features as float64, categories as places in model.toml, NaN for null."""


class MicroBatcher:
    """Only checked rows come here, so that no request can hurt another of its batch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[Batch, Done]] = []
        self._seen = 0  # of them, a tick ago

    def submit(self, batch: Batch, done: Done) -> None:
        """`done` is called with one prediction a row, or with what the engine raised; it must not raise itself."""
        self._waiting.append((batch, done))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        if len(self._waiting) > self._seen:
            self._seen = len(self._waiting)
            asyncio.get_running_loop().call_soon(self._look)
        else:
            self._seen = 0
            self._predict()

    def _predict(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            if len(waiting) == 1:
                batch, done = waiting[0]
                found = self._engine.predict(batch.codes, batch.rows)
            else:
                codes = b"".join([batch.codes for batch, _ in waiting])
                found = self._engine.predict(codes, sum([batch.rows for batch, _ in waiting]))
        except Exception as error:
            for batch, done in waiting:
                done(error if len(waiting) == 1 else self._alone(batch))
            return
        at = 0
        for batch, done in waiting:
            done(found[at : at + batch.rows])
            at += batch.rows

    def _alone(self, batch: Batch) -> list[Any] | Exception:
        """For an engine that fails on a row which the data contract allows: those beside it are answered."""
        try:
            return self._engine.predict(batch.codes, batch.rows)
        except Exception as error:
            return error
