import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lockgate.statistics import empirical_bernstein


@given(arrays(float, st.integers(2, 200), elements=st.floats(-2, 3)), st.sampled_from([0.3, 0.01, 1e-20]))
def test_bounds_equal_the_papers_formula_with_its_variance_of_all_pairs(values: np.ndarray, alpha: float) -> None:
    found = empirical_bernstein.interval(len(values), values.sum(), (values**2).sum(), -2, 3, alpha)
    log_term = np.log(2 / alpha)
    scaled = (values + 2) / 5  # the paper's variables lie between 0 and 1
    n = len(scaled)
    pairs = ((scaled[:, None] - scaled[None, :]) ** 2).sum() / 2  # each pair of rows, once
    margin = np.sqrt(2 * pairs / (n * (n - 1)) * log_term / n) + 7 * log_term / (3 * (n - 1))
    assert found.low == pytest.approx(max(-2, 5 * (scaled.mean() - margin) - 2), abs=1e-6)
    assert found.high == pytest.approx(min(3, 5 * (scaled.mean() + margin) - 2), abs=1e-6)
    assert found.guarantee == "finite-sample"


@pytest.mark.parametrize("draw", ["beta", "rare"])
def test_each_end_is_wrong_no_more_often_than_stated(draw: str) -> None:
    random = np.random.default_rng(2)
    shape = (3000, 400)
    values = random.beta(0.3, 2, size=shape) if draw == "beta" else (random.random(shape) < 0.03).astype(float)
    truth = 0.3 / 2.3 if draw == "beta" else 0.03
    found = [empirical_bernstein.interval(400, row.sum(), (row**2).sum(), 0, 1, 0.1) for row in values]
    assert np.mean([i.low > truth for i in found]) <= 0.1
    assert np.mean([i.high < truth for i in found]) <= 0.1


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_say_nothing(rows: int) -> None:
    found = empirical_bernstein.interval(rows, 0.4 * rows, 0.16 * rows, 0, 1, 0.05)
    assert (found.low, found.high) == (0, 1)


def test_more_rows_of_the_same_kind_are_tighter() -> None:
    few = empirical_bernstein.interval(100, 20, 8, 0, 1, 0.05)
    many = empirical_bernstein.interval(10_000, 2_000, 800, 0, 1, 0.05)
    assert few.low < many.low < 0.2 < many.high < few.high


@pytest.mark.parametrize(("low", "high", "alpha"), [(1, 1, 0.05), (0, 1, 0.0), (0, 1, 1.0), (float("nan"), 1, 0.1)])
def test_nonsense_is_refused(low: float, high: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        empirical_bernstein.interval(10, 5, 3, low, high, alpha)
