"""A threshold is fitted on scores of rows that the scoring model did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lockgate.tasks.threshold import Threshold
from runtime.folds import folds
from runtime.threshold import fitted, fitted_out_of_fold

RNG = np.random.default_rng(5)
LABELS = (RNG.random(2000) < 0.2).astype(np.int64)
SCORES = np.clip(0.3 + 0.3 * LABELS + 0.15 * RNG.normal(size=2000), 0.01, 0.99)


def test_rows_that_no_fold_measures_decide_nothing() -> None:
    in_time = folds(LABELS, times=np.arange(2000))
    measured = np.concatenate([other for _, other in in_time])
    assert measured.min() > 0

    def scored(train: Any, other: Any) -> Any:
        return SCORES[other]

    threshold, costs = Threshold("positive_rate", 0.1), (1.0, 1.0)
    found = fitted_out_of_fold(threshold, LABELS, in_time, scored, costs)
    assert found == fitted(threshold, LABELS[measured], SCORES[measured], costs)
    assert found != fitted(threshold, LABELS, SCORES, costs)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_stated_share_of_rows_is_predicted_positive(share: float) -> None:
    found = fitted(Threshold("positive_rate", share), LABELS, SCORES, (1.0, 1.0))
    assert (found <= SCORES).mean() == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("costs", [(1.0, 1.0), (1.0, 10.0), (10.0, 1.0), (0.0, 1.0)])
def test_no_other_threshold_costs_less(costs: tuple[float, float]) -> None:
    def cost(threshold: float) -> float:
        predicted = threshold <= SCORES
        return costs[0] * float((predicted & (LABELS == 0)).sum()) + costs[1] * float(
            (~predicted & (LABELS == 1)).sum()
        )

    found = fitted(Threshold("cost", 0.0), LABELS, SCORES, costs)
    assert cost(found) == min(cost(each) for each in [*np.linspace(0, 1, 501), *SCORES])
    assert 0 < found < 1
    assert not np.isin(found, SCORES)
