import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import r2_score, root_mean_squared_error

from lockgate.statistics import empirical_bernstein, regression
from lockgate.statistics.regression import Sums

ALPHAS = st.sampled_from([0.2, 0.05, 1e-3, 1e-9])


def sums(values: np.ndarray) -> Sums:
    return Sums(float(values.sum()), float((values**2).sum()))


def centred(labels: np.ndarray) -> Sums:
    return sums((labels - labels.mean()) ** 2)


class Drawn:
    """Labels with a long tail in 0 to 1, and two models that answer within it."""

    def __init__(self, random: np.random.Generator, rows: int) -> None:
        signal = random.beta(2, 12, rows)
        self.labels = np.clip(signal + random.normal(0, 0.04, rows), 0, 1)
        self.challenger = np.clip(signal + random.normal(0, 0.01, rows), 0, 1)
        self.champion = np.clip(signal + random.normal(0, 0.05, rows), 0, 1)
        self.errors = (self.challenger - self.labels) ** 2
        self.errors_before = (self.champion - self.labels) ** 2
        self.rows = rows

    def bounds(self, alpha: float) -> dict[str, tuple[float, float]]:
        own, before, difference = sums(self.errors), sums(self.errors_before), sums(self.errors - self.errors_before)
        spread = centred(self.labels)
        return {
            "rmse": regression.rmse(self.rows, own, 1.0, alpha)[:2],
            "rmse_difference": regression.rmse_difference(self.rows, difference, own, before, 1.0, alpha)[:2],
            "variance": regression.variance(self.rows, spread, 1.0, alpha)[:2],
            "r2": regression.r2(self.rows, own, spread, 1.0, alpha)[:2],
            "r2_difference": regression.r2_difference(self.rows, difference, spread, 1.0, alpha)[:2],
        }

    def values(self) -> dict[str, float]:
        """By scikit-learn and numpy."""
        r2, before = (r2_score(self.labels, each) for each in (self.challenger, self.champion))
        rmse, rmse_before = (root_mean_squared_error(self.labels, each) for each in (self.challenger, self.champion))
        return {
            "rmse": rmse,
            "rmse_difference": rmse - rmse_before,
            "variance": float(self.labels.var()),
            "r2": r2,
            "r2_difference": r2 - before,
        }


TRUTH = Drawn(np.random.default_rng(0), 4_000_000).values()


@pytest.mark.parametrize("rows", [100, 3000])
def test_no_bound_is_wrong_more_often_than_stated(rows: int) -> None:
    """200 draws at alpha 0.2; the allowance is what 200 draws at exactly 0.2 stay within but for 1 in 10,000."""
    random, wrong = np.random.default_rng(4), dict.fromkeys([(name, end) for name in TRUTH for end in (0, 1)], 0)
    for _ in range(200):
        for name, (low, high) in Drawn(random, rows).bounds(0.2).items():
            wrong[name, 0] += low > TRUTH[name]
            wrong[name, 1] += high < TRUTH[name]
    assert max(wrong.values()) <= stats.binom.isf(1e-4, 200, 0.2), wrong


@pytest.mark.parametrize("alpha", [0.2, 1e-6])
def test_the_numbers_that_scikit_learn_finds_are_inside_and_more_rows_are_tighter(alpha: float) -> None:
    few, many = (Drawn(np.random.default_rng(7), rows) for rows in (2000, 200_000))
    for name, value in many.values().items():
        low, high = many.bounds(alpha)[name]
        assert low < value < high, name
        assert high - low < few.bounds(alpha)[name][1] - few.bounds(alpha)[name][0], name


def test_ten_thousand_rows_show_a_better_model_where_the_target_has_a_long_tail() -> None:
    found = Drawn(np.random.default_rng(8), 10_000).bounds(0.01)
    assert found["rmse_difference"][1] < 0 < found["r2_difference"][0]


def test_the_sign_of_a_difference_of_rmse_is_that_of_the_difference_of_mse() -> None:
    drawn = Drawn(np.random.default_rng(9), 10_000)
    difference = sums(drawn.errors - drawn.errors_before)
    squared = empirical_bernstein.interval(drawn.rows, *difference, -1.0, 1.0, 0.8 * 0.01)
    low, high = drawn.bounds(0.01)["rmse_difference"]
    assert (low < 0) == (squared.low < 0)
    assert (high < 0) == (squared.high < 0)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), ALPHAS)
def test_a_variance_has_the_bounds_of_half_the_squared_differences_over_all_pairs(
    values: list[float], alpha: float
) -> None:
    labels, rows = np.array(values), len(values)
    first, second = np.triu_indices(rows, 1)
    halves = (labels[first] - labels[second]) ** 2 / 2
    pairs = rows // 2
    expected = empirical_bernstein.interval(pairs, pairs * halves.mean(), pairs * (halves**2).mean(), 0.0, 0.5, alpha)
    found = regression.variance(rows, centred(labels), 1.0, alpha)
    assert (found.low, found.high) == pytest.approx((expected.low, min(0.25, expected.high)), abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=40), ALPHAS)
def test_models_that_change_places_mirror_the_differences(rows: list[tuple[float, float, float]], alpha: float) -> None:
    labels, one, other = (np.array(each) for each in zip(*rows, strict=True))
    errors, before, spread = (one - labels) ** 2, (other - labels) ** 2, centred(labels)
    there, back = sums(errors - before), sums(before - errors)
    both = sums(errors), sums(before)
    found = regression.rmse_difference(len(rows), there, *both, 1.0, alpha)
    mirrored = regression.rmse_difference(len(rows), back, *reversed(both), 1.0, alpha)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)
    ours = math.sqrt(errors.mean()) - math.sqrt(before.mean())
    assert found.low - 1e-9 <= ours <= found.high + 1e-9
    r2 = regression.r2_difference(len(rows), there, spread, 1.0, alpha)
    r2_mirrored = regression.r2_difference(len(rows), back, spread, 1.0, alpha)
    assert (r2.low, r2.high) == pytest.approx((-r2_mirrored.high, -r2_mirrored.low), abs=1e-9)


def test_a_target_that_never_changes_says_nothing_of_r2() -> None:
    found = regression.r2(1000, Sums(1.0, 0.01), Sums(0.0, 0.0), 1.0, 0.05)
    assert found.low == -math.inf
    assert found.high <= 1
