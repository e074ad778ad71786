import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lockgate.statistics import empirical_bernstein, gaps

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


@given(ROWS, ROWS, ROWS, ROWS, st.sampled_from([0.1, 0.001]))
def test_sides_mirror_and_the_observed_gap_is_inside(a: int, b: int, c: int, d: int, alpha: float) -> None:
    found, mirrored = gaps.difference(a, a + b, c, c + d, alpha), gaps.difference(c, c + d, a, a + b, alpha)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low))
    ratio = gaps.ratio(a, a + b, c, c + d, alpha)
    if a + b and c + d:
        assert found.low <= a / (a + b) - c / (c + d) <= found.high
        if c:
            assert ratio.low <= (a / (a + b)) / (c / (c + d)) <= ratio.high


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
