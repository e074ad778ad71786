"""Predictions of a number stay within the range that its target declares: a caller may count on it."""

from __future__ import annotations

from typing import Any

from lockgate.tasks.target import Target
from runtime.serving.batching import Engine


class RangeEngine:
    """Another engine, whose predictions go no further than the declared range of a number."""

    def __init__(self, engine: Engine, minimum: float, maximum: float) -> None:
        self._engine, self._minimum, self._maximum = engine, minimum, maximum

    def predict(self, codes: bytes, rows: int) -> list[Any]:
        return [min(max(found, self._minimum), self._maximum) for found in self._engine.predict(codes, rows)]


def within_range(engine: Engine, target: Target) -> Engine:
    """The engine as the target needs it: what trees or weights add up to may leave the range of a number."""
    if target.classes:
        return engine
    return RangeEngine(engine, target.numbers["minimum"], target.numbers["maximum"])
