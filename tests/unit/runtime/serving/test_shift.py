"""The predictions of a task against those of evaluation, as the line that becomes a metric."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from lockgate.evidence.distribution import PROBABILITIES
from runtime.metrics import histogram
from runtime.serving import shift
from runtime.serving.access import AccessLog
from runtime.serving.shift import ShiftWatch
from runtime.serving.telemetry import Telemetry

DIMENSIONS = {"Environment": "prod", "Model": "employment", "Release": "7"}
EVALUATED = np.random.default_rng(1).beta(2, 5, 50_000)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry({"model": "employment"}, 2)


def said(telemetry: Telemetry, capfdbinary: Any, *minutes: Any) -> list[Any]:
    """The lines of a watch that looks after the scores of each minute were answered."""
    log = AccessLog({"model": "employment"})
    watch = ShiftWatch(telemetry, log, histogram(EVALUATED, PROBABILITIES), DIMENSIONS)
    for scores in minutes:
        if len(scores):
            telemetry.predicted(list(scores))
        watch.look()
    log.write()
    return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]


def test_bins_are_the_same_in_metrics_and_in_evaluation(telemetry: Telemetry) -> None:
    scores = [0.0, 0.05, 0.05000001, 0.3, 0.95, 1.0, *EVALUATED[:500]]
    for score in scores:
        telemetry.predicted([score])
    assert telemetry.scores() == histogram(np.array(scores), PROBABILITIES)


def test_predictions_as_evaluated_are_no_certain_distance_away(telemetry: Telemetry, capfdbinary: Any) -> None:
    (line,) = said(telemetry, capfdbinary, np.random.default_rng(2).beta(2, 5, 3000))
    assert (line["PredictionDistance"], line["rows"]) == (0.0, 3000)


def test_predictions_of_another_shape_are_and_the_line_is_a_metric_with_the_alarms_dimensions(
    telemetry: Telemetry, capfdbinary: Any
) -> None:
    (line,) = said(telemetry, capfdbinary, np.full(300, 0.9))
    assert line["PredictionDistance"] > 0.7
    (metric,) = line["_aws"]["CloudWatchMetrics"]
    assert metric == {
        "Namespace": "Lockgate",
        "Dimensions": [["Environment", "Model", "Release"]],
        "Metrics": [{"Name": "PredictionDistance"}],
    }
    assert {name: line[name] for name in DIMENSIONS} == DIMENSIONS


def test_a_minute_without_predictions_says_nothing(telemetry: Telemetry, capfdbinary: Any) -> None:
    assert said(telemetry, capfdbinary, []) == []


def test_what_was_answered_long_ago_counts_no_more(telemetry: Telemetry, capfdbinary: Any) -> None:
    bad, good = np.full(300, 0.9), np.random.default_rng(3).beta(2, 5, 300)
    lines = said(telemetry, capfdbinary, bad, *[good] * (shift.LOOKS + 1))
    assert lines[0]["PredictionDistance"] > 0.7
    assert lines[shift.LOOKS - 1]["rows"] == 300 * shift.LOOKS
    assert lines[-1]["rows"] == 300 * shift.LOOKS
    assert lines[-1]["PredictionDistance"] == 0.0


def test_it_looks_by_itself(telemetry: Telemetry, capfdbinary: Any) -> None:
    log = AccessLog({})
    watch = ShiftWatch(telemetry, log, histogram(EVALUATED, PROBABILITIES), DIMENSIONS, seconds=0.01)
    telemetry.become(1)  # another worker's answers count as well
    telemetry.predicted([0.9])

    async def a_while() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.look_forever(), 0.1)

    asyncio.run(a_while())
    log.write()
    assert json.loads(capfdbinary.readouterr().out.splitlines()[0])["rows"] == 1
