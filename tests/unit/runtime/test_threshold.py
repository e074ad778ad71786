"""A threshold is fitted on scores of rows that the scoring model did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lockgate.tasks.threshold import Threshold
from runtime.threshold import FOLDS, fitted, out_of_fold

RNG = np.random.default_rng(5)
LABELS = (RNG.random(2000) < 0.2).astype(np.int64)
SCORES = np.clip(0.3 + 0.3 * LABELS + 0.15 * RNG.normal(size=2000), 0.01, 0.99)


def test_every_row_is_scored_once_by_a_model_that_did_not_see_it() -> None:
    seen: list[int] = []

    def scored(train: Any, other: Any) -> Any:
        assert not set(train) & set(other)
        assert len(train) + len(other) == 2000
        assert abs(LABELS[other].mean() - LABELS.mean()) < 0.005
        seen.extend(other.tolist())
        return np.full(len(other), 0.5)

    assert (out_of_fold(LABELS, scored) == 0.5).all()
    assert sorted(seen) == list(range(2000))
    assert FOLDS == 5


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
