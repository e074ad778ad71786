"""What /metrics says, counted in memory that all workers of a task share: any of them answers for all."""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockgate.evidence.distribution import BOUNDS as SCORES

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
FEW = 20  # predictions; more are sorted first
ROUTES = ("invocations", "infer", "other")
STATUSES = (200, 400, 404, 405, 408, 411, 413, 415, 429, 500, 503)
ERRORS = ("malformed", "contract", "too_large", "media_type", "no_route", "slow", "busy", "defect")


class Telemetry:
    """Counters of `workers` processes; call `become` in each after the fork. A worker writes its own row only."""

    def __init__(self, labels: Mapping[str, str], workers: int) -> None:
        self._labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
        self._places: dict[tuple[str, object], int] = {}
        for group, keys in self._groups().items():
            for key in keys:
                self._places[group, key] = len(self._places)
        self._width, self._workers = len(self._places), workers
        self._all = memoryview(mmap.mmap(-1, 8 * self._width * workers)).cast("d")
        self._requests = {(route, status): self._places["requests", (route, status)]
                          for route in ROUTES for status in STATUSES}  # fmt: skip
        self._seconds, self._scores = self._places["seconds", 0], self._places["scores", 0]
        self._rows, self._sum = self._places["total", "rows"], self._places["total", "seconds"]
        self._score_sum, self._in_flight = self._places["total", "scores"], self._places["total", "in_flight"]
        self._captured, self._overwritten = self._places["total", "captured"], self._places["total", "overwritten"]
        self.become(0)

    def become(self, worker: int) -> None:
        self._own = self._all[worker * self._width : (worker + 1) * self._width]

    def answered(self, route: str, status: int, rows: int, seconds: float) -> None:
        own = self._own
        own[self._requests[route, status]] += 1
        if route != "other":
            own[self._seconds + bisect_left(SECONDS, seconds)] += 1
            own[self._sum] += seconds
            own[self._rows] += rows

    def failed(self, kind: str) -> None:
        self._own[self._places["errors", kind]] += 1

    def predicted(self, predictions: Sequence[Any]) -> None:
        """Scores of one output; a model with several has no histogram."""
        if isinstance(predictions[0], list):
            return
        own, first = self._own, self._scores
        own[self._score_sum] += sum(predictions)
        if len(predictions) <= FEW:
            for score in predictions:
                own[first + bisect_left(SCORES, score)] += 1
            return
        ordered, below = sorted(predictions), 0
        for place, bound in enumerate(SCORES):
            until = bisect_right(ordered, bound)
            own[first + place] += until - below
            below = until
        own[first + len(SCORES)] += len(ordered) - below

    def captured(self, overwritten: int) -> None:
        """One request was handed to the capture buffer, and so many gave way."""
        self._own[self._captured] += 1
        self._own[self._overwritten] += overwritten

    def in_flight(self, requests: int) -> None:
        self._own[self._in_flight] = requests

    def scores(self) -> list[float]:
        """How many scores fell into each bin, of all workers since the start; the last bin is for those over 1."""
        return [self._value("scores", place) for place in range(len(SCORES) + 1)]

    def text(self) -> bytes:
        """The Prometheus text format, version 0.0.4."""
        lines = list(self._lines())
        return ("\n".join(lines) + "\n").encode()

    def _groups(self) -> dict[str, list[object]]:
        return {
            "requests": [(route, status) for route in ROUTES for status in STATUSES],
            "errors": list(ERRORS),
            "seconds": list(range(len(SECONDS) + 1)),
            "scores": list(range(len(SCORES) + 1)),
            "total": ["rows", "seconds", "scores", "captured", "overwritten", "in_flight"],
        }

    def _value(self, group: str, key: object) -> float:
        return sum(self._all[self._places[group, key] :: self._width])

    def _lines(self) -> Iterator[str]:
        labels = self._labels
        yield "# HELP lockgate_release_info The release that answers."
        yield "# TYPE lockgate_release_info gauge"
        yield f"lockgate_release_info{{{labels}}} 1"
        yield "# HELP lockgate_requests_total Requests answered, by route and status."
        yield "# TYPE lockgate_requests_total counter"
        for route in ROUTES:
            for status in STATUSES:
                if value := self._value("requests", (route, status)):
                    yield f'lockgate_requests_total{{{labels},route="{route}",status="{status}"}} {value:.0f}'
        yield "# HELP lockgate_errors_total Requests refused or failed, by kind."
        yield "# TYPE lockgate_errors_total counter"
        for kind in ERRORS:
            yield f'lockgate_errors_total{{{labels},kind="{kind}"}} {self._value("errors", kind):.0f}'
        for name, text in (
            ("rows", "Rows of prediction requests that were answered."),
            ("captured", "Requests handed to the capture buffer."),
            ("overwritten", "Captured requests that newer ones replaced before anybody took them."),
        ):
            yield f"# HELP lockgate_{name}_total {text}"
            yield f"# TYPE lockgate_{name}_total counter"
            yield f"lockgate_{name}_total{{{labels}}} {self._value('total', name):.0f}"
        yield "# HELP lockgate_in_flight_requests Prediction requests begun and not answered."
        yield "# TYPE lockgate_in_flight_requests gauge"
        yield f"lockgate_in_flight_requests{{{labels}}} {self._value('total', 'in_flight'):.0f}"
        yield from self._histogram(
            "lockgate_request_seconds", "Time from a prediction request's headers to its answer.", SECONDS, "seconds"
        )
        yield from self._histogram("lockgate_predictions", "Scores that were answered.", SCORES, "scores")

    def _histogram(self, name: str, text: str, bounds: Sequence[float], group: str) -> Iterator[str]:
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} histogram"
        below = 0.0
        for index, bound in enumerate([*map(str, bounds), "+Inf"]):
            below += self._value(group, index)
            yield f'{name}_bucket{{{self._labels},le="{bound}"}} {below:.0f}'
        yield f"{name}_sum{{{self._labels}}} {self._value('total', group)!r}"
        yield f"{name}_count{{{self._labels}}} {below:.0f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
