import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from lockgate.evidence.document import BINARY_TARGET, Group
from lockgate.evidence.measurement import gaps as measured_gaps
from lockgate.statistics import empirical_bernstein, gaps
from tests.groups import counted

ROWS = st.integers(0, 500)


@pytest.mark.parametrize(("rate", "other"), [(0.3, 0.3), (0.02, 0.4), (0.9, 0.85)])
@pytest.mark.parametrize(("rows", "other_rows"), [(4, 40), (30, 30), (12, 60)])
def test_each_end_is_wrong_no_more_often_than_stated_for_every_pair_of_counts(
    rate: float, other: float, rows: int, other_rows: int
) -> None:
    """Coverage exactly, by summing over all pairs of counts."""
    wrong = dict.fromkeys(("difference low", "difference high", "ratio low", "ratio high"), 0.0)
    for a in range(rows + 1):
        for b in range(other_rows + 1):
            chance = stats.binom.pmf(a, rows, rate) * stats.binom.pmf(b, other_rows, other)
            found, ratio = gaps.difference(a, rows, b, other_rows, 0.1), gaps.ratio(a, rows, b, other_rows, 0.1)
            wrong["difference low"] += chance * (found.low > rate - other)
            wrong["difference high"] += chance * (found.high < rate - other)
            wrong["ratio low"] += chance * (ratio.low > rate / other)
            wrong["ratio high"] += chance * (ratio.high < rate / other)
    assert max(wrong.values()) <= 0.1


@given(ROWS, ROWS, ROWS, ROWS, st.sampled_from([0.1, 0.001, 1e-9]))
def test_bounds_are_those_of_statsmodels_rates_at_half_of_the_error_each(
    a: int, b: int, c: int, d: int, alpha: float
) -> None:
    if a + b and c + d:
        (low, high), (other_low, other_high) = (
            proportion_confint(hits, hits + misses, alpha, method="beta") for hits, misses in ((a, b), (c, d))
        )
        found, ratio = gaps.difference(a, a + b, c, c + d, alpha), gaps.ratio(a, a + b, c, c + d, alpha)
        assert (found.low, found.high) == pytest.approx((low - other_high, high - other_low), abs=1e-9)
        assert ratio.low == pytest.approx(low / other_high, abs=1e-9)
        assert ratio.high == pytest.approx(high / other_low if other_low else math.inf, rel=1e-7)


@pytest.mark.parametrize(("rate", "other"), [(0.3, 0.3), (0.02, 0.4), (0.9, 0.85), (0.5, 0.55)])
@pytest.mark.parametrize("measure", ["demographic_parity", "equal_opportunity"])
def test_a_gap_whichever_group_is_higher_lets_a_larger_one_pass_no_more_often_than_stated(
    measure: str, rate: float, other: float
) -> None:
    """Coverage exactly, by summing over all pairs of counts of 30 and 40 rows."""
    too_low, too_high, truth = 0.0, 0.0, (abs(rate - other), min(rate / other, other / rate))
    for a in range(31):
        for b in range(41):
            groups = {"1": _labelled_one(a, 30), "2": _labelled_one(b, 40)}
            chance = stats.binom.pmf(a, 30, rate) * stats.binom.pmf(b, 40, other)
            (difference,) = measured_gaps(measure, "ceiling", groups, 0.1, BINARY_TARGET)
            (ratio,) = measured_gaps(measure, "floor", groups, 0.1, BINARY_TARGET)
            too_low += chance * (difference.measured.interval.high < truth[0] - 1e-12)
            too_high += chance * (ratio.measured.interval.low > truth[1] + 1e-12)
    assert max(too_low, too_high) <= 0.1


def _labelled_one(predicted: int, rows: int) -> Group:
    """A group whose rows all have label 1, so that its positive rate is its true positive rate."""
    return counted(predicted, 0, rows - predicted, 0, 0.0, 0.0)


@given(ROWS, ROWS, ROWS, ROWS, st.sampled_from([0.1, 0.001]))
def test_sides_mirror_and_the_observed_gap_is_inside(a: int, b: int, c: int, d: int, alpha: float) -> None:
    found, mirrored = gaps.difference(a, a + b, c, c + d, alpha), gaps.difference(c, c + d, a, a + b, alpha)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low))
    ratio = gaps.ratio(a, a + b, c, c + d, alpha)
    if a + b and c + d:
        assert found.low <= a / (a + b) - c / (c + d) <= found.high
        if c:
            assert ratio.low <= (a / (a + b)) / (c / (c + d)) <= ratio.high


def test_a_calibration_gap_is_wrong_no_more_often_than_stated_of_drawn_residuals() -> None:
    """2,000 draws of two groups whose mean residuals, of label 0 or 1 and the score 0.3, are 0.1 apart."""
    random, rates, rows, missed = np.random.default_rng(8), (0.3, 0.2), (200, 300), 0
    for _ in range(2000):
        groups, drawn = {}, []
        for place, (rate, people) in enumerate(zip(rates, rows, strict=True)):
            ones = int(random.binomial(people, rate))
            drawn.append(ones / people)
            residual, squares = 0.3 * people - ones, ones * 0.7**2 + (people - ones) * 0.3**2
            groups[str(place)] = counted(0, 0, ones, people - ones, residual, squares)
        (found,) = measured_gaps("calibration", "ceiling", groups, 0.1, BINARY_TARGET)
        missed += found.measured.interval.high < 0.1
        assert found.measured.value == pytest.approx(abs(drawn[0] - drawn[1]))
    assert missed / 2000 <= 0.1


def test_the_interval_is_not_much_wider_than_the_normal_one_on_large_groups() -> None:
    found = gaps.difference(3000, 10_000, 2500, 10_000, 0.025)
    normal = 2 * 1.96 * math.sqrt(0.3 * 0.7 / 10_000 + 0.25 * 0.75 / 10_000)
    assert found.high - found.low < 1.7 * normal


@pytest.mark.parametrize("rows", [0, 4, 32, 56])
def test_tiny_groups_cannot_show_that_a_gap_is_below_a_tenth(rows: int) -> None:
    found = gaps.difference(rows // 3, rows, 20_000, 60_000, 0.05)
    assert found.high > 0.1
    assert found.low < -0.1


def test_a_ratio_with_an_empty_or_successless_group_is_unbounded_above() -> None:
    assert gaps.ratio(5, 10, 0, 10, 0.05).high == math.inf
    nothing = gaps.ratio(0, 0, 0, 0, 0.05)
    assert (nothing.low, nothing.high) == (0.0, math.inf)


def test_gaps_of_means_come_from_the_means_bounds() -> None:
    random = np.random.default_rng(0)
    one, other = random.random(500), random.random(800)
    bounds = [empirical_bernstein.interval(len(v), v.sum(), (v**2).sum(), 0, 1, 0.025) for v in (one, other)]
    found = gaps.between(*bounds)
    assert found.low < one.mean() - other.mean() < found.high
    assert found.high - found.low == pytest.approx(sum(i.high - i.low for i in bounds))


@pytest.mark.parametrize("rows", [(60, 80), (2000, 900)])
def test_gaps_of_mean_errors_and_of_mean_absolute_errors_are_wrong_no_more_often_than_stated(
    rows: tuple[int, int],
) -> None:
    """200 draws of two groups of a regression, whose errors lie in -1 to 1, at alpha 0.2."""
    random, wrong = np.random.default_rng(9), np.zeros(6)
    shapes, allowed = ((0.02, 0.05), (-0.03, 0.1)), stats.binom.isf(1e-4, 200, 0.2)
    sizes = [each * np.sqrt(2 / np.pi) * np.exp(-((mean / each) ** 2) / 2) for mean, each in shapes]
    sizes = [
        size + mean * (1 - 2 * stats.norm.cdf(-mean / each)) for size, (mean, each) in zip(sizes, shapes, strict=True)
    ]
    for _ in range(200):
        errors = [random.normal(*shape, n) for shape, n in zip(shapes, rows, strict=True)]
        bias, mae = (
            [empirical_bernstein.interval(len(e), e.sum(), (e**2).sum(), low, 1, 0.1) for e in values]
            for values, low in ((errors, -1), ([np.abs(e) for e in errors], 0))
        )
        for place, (found, truth) in enumerate(
            (
                (gaps.between(*bias), 0.05),
                (gaps.between(*mae), sizes[0] - sizes[1]),
                (gaps.quotient(*mae), sizes[0] / sizes[1]),
            )
        ):
            wrong[2 * place] += found.low > truth
            wrong[2 * place + 1] += found.high < truth
    assert wrong.max() <= allowed
