"""What /metrics says, counted in memory that all workers of a task share: any of them answers for all."""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockgate.evidence.distribution import PROBABILITIES, Bins

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
FEW = 20  # predictions; more are sorted first
ROUTES = ("invocations", "infer", "other")
STATUSES = (200, 400, 404, 405, 408, 411, 413, 415, 429, 500, 503)
ERRORS = ("malformed", "contract", "too_large", "media_type", "no_route", "slow", "busy", "defect")


class Telemetry:
    """Counters of `workers` processes; call `become` in each after the fork. A worker writes its own row only."""

    def __init__(
        self,
        labels: Mapping[str, str],
        workers: int,
        bins: Bins = PROBABILITIES,
        classes: Sequence[object] = (),
    ) -> None:
        """bins: in which predictions are counted. classes: the names of those that a prediction has numbers of."""
        self._bins, self._classes = bins, [str(each) for each in classes]
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
        self._score_sums = self._places["score_sums", 0]
        self._rows, self._sum = self._places["total", "rows"], self._places["total", "seconds"]
        self._in_flight = self._places["total", "in_flight"]
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
        own, first, bounds = self._own, self._scores, self._bins.bounds
        if isinstance(predictions[0], list):
            for row in predictions:
                own[first + self._bins.place(row)] += 1
                largest = max(row)
                own[self._score_sums + row.index(largest)] += largest
            return
        own[self._score_sums] += sum(predictions)
        if len(predictions) <= FEW:
            for score in predictions:
                own[first + bisect_left(bounds, score)] += 1
            return
        ordered, below = sorted(predictions), 0
        for place, bound in enumerate(bounds):
            until = bisect_right(ordered, bound)
            own[first + place] += until - below
            below = until
        own[first + len(bounds)] += len(ordered) - below

    def captured(self, overwritten: int) -> None:
        """One request was handed to the capture buffer, and so many gave way."""
        self._own[self._captured] += 1
        self._own[self._overwritten] += overwritten

    def in_flight(self, requests: int) -> None:
        self._own[self._in_flight] = requests

    def scores(self) -> list[float]:
        """How many predictions fell into each bin, of all workers since the start."""
        return [self._value("scores", place) for place in range(self._bins.size)]

    def text(self) -> bytes:
        """The Prometheus text format, version 0.0.4."""
        lines = list(self._lines())
        return ("\n".join(lines) + "\n").encode()

    def _groups(self) -> dict[str, list[object]]:
        return {
            "requests": [(route, status) for route in ROUTES for status in STATUSES],
            "errors": list(ERRORS),
            "seconds": list(range(len(SECONDS) + 1)),
            "scores": list(range(self._bins.size)),
            "score_sums": list(range(self._bins.classes)),
            "total": ["rows", "seconds", "captured", "overwritten", "in_flight"],
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
        name, total = "lockgate_request_seconds", self._value("total", "seconds")
        yield from _head(name, "Time from a prediction request's headers to its answer.")
        counts = [self._value("seconds", place) for place in range(len(SECONDS) + 1)]
        yield from _histogram(name, labels, SECONDS, counts, total)
        yield from self._predictions()

    def _predictions(self) -> Iterator[str]:
        """Of several classes, a histogram for each, of the probabilities with which it was the predicted one."""
        name, bounds, several = "lockgate_predictions", self._bins.bounds, self._bins.classes > 1
        yield from _head(name, "Predictions that were answered.")
        width, scores = len(bounds) + 1, self.scores()
        for place in range(self._bins.classes):
            of_class = f',class="{_escaped(self._classes[place])}"' if several else ""
            counts = scores[place * width : (place + 1) * width]
            total = self._value("score_sums", place)
            yield from _histogram(name, self._labels + of_class, bounds, counts, total)


def _head(name: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} histogram"


def _histogram(name: str, labels: str, bounds: Sequence[float], counts: Sequence[float], total: float) -> Iterator[str]:
    below = 0.0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        below += count
        yield f'{name}_bucket{{{labels},le="{bound}"}} {below:.0f}'
    yield f"{name}_sum{{{labels}}} {total!r}"
    yield f"{name}_count{{{labels}}} {below:.0f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
