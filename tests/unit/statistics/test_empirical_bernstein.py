import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq
from scipy.special import logsumexp

from lockgate.statistics import empirical_bernstein


def capital(values: np.ndarray, mean: float, *, from_sums: bool) -> float:
    """Log of what a bettor against "the mean of values from 0 to 1 is at most `mean`" has: from the values themselves,
    or as the smallest that their sums allow."""
    bets = np.array(empirical_bernstein.shares(len(values)))
    ratios = values / mean - 1
    logs = np.log1p(bets[:, None] * ratios[None, :]).sum(axis=1)
    if from_sums:
        logs = bets * ratios.sum() + (np.log(1 - bets) + bets) * (ratios**2).sum()
    return float(logsumexp(logs) - np.log(len(bets)))


@given(arrays(float, st.integers(2, 200), elements=st.floats(-2, 3)), st.sampled_from([0.3, 0.01, 1e-20]))
def test_no_bound_is_beyond_what_the_capital_of_the_rows_themselves_refutes(values: np.ndarray, alpha: float) -> None:
    found = empirical_bernstein.interval(len(values), values.sum(), (values**2).sum(), -2, 3, alpha)
    assert found.guarantee == "finite-sample"
    for scaled, bound in (((values + 2) / 5, (found.low + 2) / 5), ((3 - values) / 5, (3 - found.high) / 5)):
        assert bound <= scaled.mean() + 1e-9
        if bound > 1e-6:
            assert capital(scaled, bound * (1 - 1e-9), from_sums=False) >= np.log(1 / alpha) - 1e-6


@pytest.mark.parametrize("alpha", [0.1, 0.001, 1e-9])
@pytest.mark.parametrize(("a", "b"), [(0.3, 2), (5, 5), (1, 20), (20, 1)])
def test_bounds_are_the_root_that_scipy_finds_of_the_capital_that_the_sums_allow(
    a: float, b: float, alpha: float
) -> None:
    values = np.random.default_rng(3).beta(a, b, 1000)
    found = empirical_bernstein.interval(1000, values.sum(), (values**2).sum(), 0, 1, alpha)
    for scaled, bound in ((values, found.low), (1 - values, 1 - found.high)):
        # From the mean down to the first refuted one.
        tried = np.linspace(scaled.mean(), 1e-3, 2000)
        short = [capital(scaled, mean, from_sums=True) + np.log(alpha) for mean in tried]
        first = next((k for k, each in enumerate(short) if each >= 0), None)
        if first is None:
            assert bound <= 1e-3
            continue
        root = brentq(
            lambda mean: capital(scaled, mean, from_sums=True) + np.log(alpha),  # noqa: B023
            tried[first],
            tried[first - 1],
        )
        assert bound == pytest.approx(root, abs=1e-9)


def test_a_long_tail_costs_less_than_two_thirds_of_the_margin_of_maurer_and_pontil() -> None:
    """Losses from 0 to 36 of about 0.4, against their theorem 4."""
    found, needed = empirical_bernstein.interval(10_000, 4_000, 4_100, 0, 36.04, 0.01), math.log(2 / 0.01)
    theirs = math.sqrt(2 * 0.25 * needed / 10_000) + 7 * 36.04 * needed / (3 * 9_999)
    assert found.high - 0.4 < theirs * 2 / 3


@pytest.mark.parametrize(("total", "squares"), [(500.0, 1e308), (500.0, 501.0), (-1.0, 0.0), (1001.0, 1001.0)])
def test_sums_of_values_outside_the_range_say_nothing(total: float, squares: float) -> None:
    assert empirical_bernstein.interval(1000, total, squares, 0, 1, 0.05)[:2] == (0, 1)


@pytest.mark.parametrize("draw", ["beta", "rare"])
def test_each_end_is_wrong_no_more_often_than_stated(draw: str) -> None:
    random = np.random.default_rng(2)
    shape = (2000, 400)
    values = random.beta(0.3, 2, size=shape) if draw == "beta" else (random.random(shape) < 0.03).astype(float)
    truth = 0.3 / 2.3 if draw == "beta" else 0.03
    found = [empirical_bernstein.interval(400, row.sum(), (row**2).sum(), 0, 1, 0.1) for row in values]
    assert np.mean([i.low > truth for i in found]) <= 0.1
    assert np.mean([i.high < truth for i in found]) <= 0.1


def test_no_rows_say_nothing() -> None:
    assert empirical_bernstein.interval(0, 0.0, 0.0, -1, 3, 0.05)[:2] == (-1, 3)


@pytest.mark.parametrize("width", [1.0, 500_000.0])
def test_errors_of_either_sign_are_bounded_by_the_range_of_their_size(width: float) -> None:
    """A mean error: a range of -w to w, in any unit."""
    errors = np.random.default_rng(5).normal(0.01, 0.05, 5000)
    found = empirical_bernstein.interval(
        5000, float(errors.sum()) * width, float((errors**2).sum()) * width**2, -width, width, 0.01
    )
    unit = empirical_bernstein.interval(5000, float(errors.sum()), float((errors**2).sum()), -1, 1, 0.01)
    assert (found.low / width, found.high / width) == pytest.approx((unit.low, unit.high), abs=1e-9)
    assert 0 < unit.low < 0.01 < unit.high < 0.02


def test_more_rows_of_the_same_kind_are_tighter() -> None:
    few = empirical_bernstein.interval(100, 20, 8, 0, 1, 0.05)
    many = empirical_bernstein.interval(10_000, 2_000, 800, 0, 1, 0.05)
    assert few.low < many.low < 0.2 < many.high < few.high


@pytest.mark.parametrize(("low", "high", "alpha"), [(1, 1, 0.05), (0, 1, 0.0), (0, 1, 1.0), (float("nan"), 1, 0.1)])
def test_nonsense_is_refused(low: float, high: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        empirical_bernstein.interval(10, 5, 3, low, high, alpha)
