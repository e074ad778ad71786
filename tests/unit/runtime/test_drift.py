"""Drift between training rows and holdout, against independent implementations."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import entropy, ttest_ind
from scipy.stats.contingency import association, crosstab

from runtime.drift import MOST, drift, psi


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def test_the_index_is_the_two_relative_entropies_together() -> None:
    random = np.random.default_rng(1)
    expected, actual = (random.integers(1, 500, 12).astype(float) for _ in range(2))
    smoothed = [(found + 0.5) / (found + 0.5).sum() for found in (expected, actual)]
    assert psi(expected, actual) == pytest.approx(entropy(*smoothed) + entropy(*reversed(smoothed)))
    assert psi(expected, expected) == 0


def test_a_categorys_effect_is_cramers_v_of_the_table() -> None:
    random = np.random.default_rng(2)
    train, holdout = random.choice(list("abcd"), 900), random.choice(list("abce"), 700, p=[0.4, 0.3, 0.2, 0.1])
    part = np.array(["train"] * 900 + ["holdout"] * 700)
    table = crosstab(np.concatenate([train, holdout]), part).count
    found = drift(column(train.tolist()), column(holdout.tolist()))
    assert found.effect_size == pytest.approx(association(table, method="cramer"))
    assert found.psi > 0.2


def test_a_numbers_effect_is_cohens_d() -> None:
    random = np.random.default_rng(3)
    train, holdout = random.normal(0, 1, 20_000), random.normal(0.5, 1, 10_000)
    found = drift(column(train), column(holdout))
    assert found.effect_size == pytest.approx(
        abs(ttest_ind(train, holdout).statistic) * np.sqrt(1 / 20_000 + 1 / 10_000)
    )
    assert found.effect_size == pytest.approx(0.5, abs=0.05)
    assert found.psi == pytest.approx(0.25, abs=0.05)  # of two normals a half apart, in the limit of many bins


def test_the_same_rows_do_not_drift_and_a_null_is_a_value() -> None:
    for values in ([1, 2, 3, None, 5], ["a", "b", None], [0.5, float("nan"), 2.0]):
        same = drift(column(values), column(values))
        assert (same.psi, same.effect_size) == (pytest.approx(0), pytest.approx(0))
    assert drift(column([1, 2] * 50), column([1, None] * 50)).psi > 0.5
    assert drift(column(["a", "b"] * 50), column(["a", None] * 50)).psi > 0.5


@pytest.mark.parametrize(
    ("train", "holdout", "effect"),
    [
        ([1] * 50, [2] * 50, MOST),
        ([1] * 50, [1] * 50, 0.0),
        ([None] * 50, [1] * 50, 0.0),
        ([1], [2], 0.0),
    ],
)
def test_what_has_no_spread_gives_a_finite_number(train: list[int], holdout: list[int], effect: float) -> None:
    found = drift(column(train, pa.int64()), column(holdout, pa.int64()))
    assert found.effect_size == effect
    assert np.isfinite(found.psi)


def test_an_empty_part_is_finite() -> None:
    assert np.isfinite(drift(column([], pa.string()), column(["a"], pa.string())).psi)
    assert drift(column([], pa.string()), column(["a"], pa.string())).effect_size == 0.0
