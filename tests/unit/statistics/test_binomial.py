import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from lockgate.statistics import binomial
from lockgate.statistics._beta import log_cdf, quantile

ALPHAS = (0.3, 0.05, 0.01, 1e-6, 1e-15, 1e-40)


@pytest.mark.parametrize("rows", [1, 2, 5, 30, 1000, 20_000, 1_000_000])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_bounds_equal_scipys_beta_quantiles(rows: int, alpha: float) -> None:
    for successes in sorted({0, 1, rows // 50, rows // 2, rows - 1, rows}):
        found = binomial.interval(successes, rows, alpha)
        low = stats.beta.ppf(alpha, successes, rows - successes + 1) if successes else 0.0
        high = stats.beta.isf(alpha, successes + 1, rows - successes) if successes < rows else 1.0
        assert found.low == pytest.approx(low, rel=1e-8)
        assert found.high == pytest.approx(high, rel=1e-8)


@pytest.mark.parametrize(("successes", "rows"), [(0, 10), (3, 10), (10, 10), (85, 100), (950, 1000)])
def test_interval_equals_scipys_clopper_pearson(successes: int, rows: int) -> None:
    theirs = stats.binomtest(successes, rows).proportion_ci(0.95, method="exact")
    found = binomial.interval(successes, rows, 0.025)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


@given(st.integers(0, 10**5), st.integers(0, 10**5), st.sampled_from([0.3, 0.01, 1e-6, 1e-15]))
def test_interval_equals_statsmodels_clopper_pearson(successes: int, failures: int, alpha: float) -> None:
    rows = successes + failures
    if rows:
        theirs = proportion_confint(successes, rows, 2 * alpha, method="beta")
        found = binomial.interval(successes, rows, alpha)
        assert (found.low, found.high) == pytest.approx(theirs, rel=1e-8, abs=1e-14)


@given(st.floats(1, 1e5), st.floats(1, 1e5), st.floats(1e-6, 1 - 1e-6))
def test_incomplete_beta_equals_scipys(a: float, b: float, x: float) -> None:
    theirs = special.betainc(a, b, x)
    if theirs > 1e-280:
        assert np.exp(log_cdf(x, a, b)) == pytest.approx(theirs, rel=1e-7)


@example(249, 9890, 1e-7)  # a step too small to leave the bracket's end is the solution
@example(611, 5432, 6.902147357643208e-07)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(1e-30, 1 - 1e-9))
def test_quantile_inverts_the_distribution(a: int, b: int, probability: float) -> None:
    x = quantile(a, b, probability)
    assert 0.0 <= x <= 1.0
    if x < 1 - 1e-6:
        assert np.exp(log_cdf(x, a, b)) == pytest.approx(probability, rel=1e-5, abs=1e-9)


@given(st.integers(0, 2000), st.integers(0, 2000), st.sampled_from(ALPHAS))
def test_the_observed_rate_is_inside_and_more_certainty_is_wider(successes: int, failures: int, alpha: float) -> None:
    rows = successes + failures
    found, wider = binomial.interval(successes, rows, alpha), binomial.interval(successes, rows, alpha / 10)
    assert wider.low <= found.low <= found.high <= wider.high
    if rows:
        assert found.low <= successes / rows <= found.high
    more = binomial.interval(successes + 1, rows + 1, alpha)
    assert more.low >= found.low
    assert more.high >= found.high - 1e-12


def test_no_rows_say_nothing() -> None:
    found = binomial.interval(0, 0, 0.05)
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "rows"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes: int, rows: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        binomial.interval(successes, rows, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_an_error_rate_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="expected between 0 and 1"):
        binomial.interval(3, 5, alpha)


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("rows", [8, 60, 400])
def test_each_end_is_wrong_no_more_often_than_stated_for_every_possible_count(rate: float, rows: int) -> None:
    """Coverage exactly, by summing over all counts."""
    for alpha in (0.05, 0.001):
        chances = stats.binom.pmf(np.arange(rows + 1), rows, rate)
        found = [binomial.interval(successes, rows, alpha) for successes in range(rows + 1)]
        assert sum(p for p, i in zip(chances, found, strict=True) if i.low > rate) <= alpha * (1 + 1e-9)
        assert sum(p for p, i in zip(chances, found, strict=True) if i.high < rate) <= alpha * (1 + 1e-9)
