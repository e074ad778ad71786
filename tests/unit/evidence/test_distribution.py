from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lockgate.errors import EvidenceError
from lockgate.evidence.distribution import PROBABILITIES, Bins, certain_distance, distance, read_bins

EXPECTED = [400, 300, 200, 100]


def drawn(weights: list[int], rows: int, seed: int) -> list[int]:
    chosen = random.Random(seed).choices(range(len(weights)), weights, k=rows)  # noqa: S311
    return [chosen.count(place) for place in range(len(weights))]


def test_equal_shares_are_no_distance_apart() -> None:
    assert distance(EXPECTED, [each * 7 for each in EXPECTED]) == 0.0


def test_all_in_the_last_bin_instead_of_the_first_is_as_far_as_it_gets() -> None:
    assert distance([5, 0, 0], [0, 0, 9]) == 1.0


def test_the_largest_difference_of_cumulative_shares_counts_and_not_that_of_a_bin() -> None:
    """By hand: 0.4 0.7 0.9 1.0 against 0.3 0.5 0.8 1.0."""
    assert distance(EXPECTED, [30, 20, 30, 20]) == pytest.approx(0.2)


COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


@given(COUNTS, COUNTS)
def test_the_distance_is_scipys_kolmogorov_statistic_of_the_rows(expected: list[int], found: list[int]) -> None:
    rows = [np.repeat(np.arange(4), counts) for counts in (expected, found)]
    assert distance(expected, found) == pytest.approx(stats.ks_2samp(*rows, method="asymp").statistic)


@pytest.mark.parametrize("rows", [1, 7, 100, 5000])
@pytest.mark.parametrize("rate", [0.2, 0.01, 1e-6])
def test_the_allowance_is_no_less_than_kolmogorovs_exact_distribution_asks(rows: int, rate: float) -> None:
    """By scipy's distribution of the statistic; Massart's inequality holds for every other one as well."""
    allowance = 1.0 - certain_distance([0, 1], [rows, 0], rate)  # all of it in the wrong one of two bins
    assert allowance >= min(1.0, stats.kstwo.isf(rate, rows)) - 1e-12
    if allowance < 1.0:
        assert allowance == pytest.approx(math.sqrt(math.log(2 / rate) / (2 * rows)))


def test_a_few_rows_prove_nothing_and_many_do() -> None:
    shifted = [0, 0, 0, 1]
    assert certain_distance(EXPECTED, [5 * each for each in shifted]) == 0.0
    assert certain_distance(EXPECTED, [100 * each for each in shifted]) > 0.6
    assert certain_distance(EXPECTED, [100_000 * each for each in shifted]) == pytest.approx(0.9, abs=0.01)


def test_no_rows_are_no_distance() -> None:
    assert certain_distance(EXPECTED, [0, 0, 0, 0]) == 0.0


@pytest.mark.parametrize("rows", [1, 10, 100, 1000])
def test_rows_of_the_same_distribution_are_certainly_apart_as_rarely_as_stated(rows: int) -> None:
    looks, rate = 2000, 0.05
    alarms = sum(certain_distance(EXPECTED, drawn(EXPECTED, rows, seed), rate) > 0 for seed in range(looks))
    assert alarms / looks <= rate


def test_a_shift_of_the_size_that_counts_is_found_within_a_thousand_rows() -> None:
    """0.3 apart, an alarm at 0.2."""
    found = [certain_distance(EXPECTED, drawn([100, 300, 300, 300], 1000, seed)) >= 0.2 for seed in range(100)]
    assert sum(found) > 60


def test_a_score_at_a_bound_belongs_below_it() -> None:
    assert PROBABILITIES.bounds[0] == 0.05
    assert PROBABILITIES.bounds[-1] == 1.0
    assert math.isclose(PROBABILITIES.bounds[9], 0.5)


def test_a_number_belongs_to_the_first_bin_whose_bound_it_does_not_exceed() -> None:
    bins = Bins((1.0, 2.5))
    assert [bins.place(each) for each in (-3.0, 1.0, 1.1, 2.5, 9.0)] == [0, 0, 1, 1, 2]
    assert bins.size == 3


def test_a_prediction_of_several_classes_belongs_to_a_bin_of_its_largest_probability() -> None:
    bins = Bins((0.5, 1.0), classes=3)
    assert bins.size == 9
    assert [bins.place(each) for each in ([0.4, 0.3, 0.3], [0.1, 0.2, 0.7], [0.0, 0.5, 0.5])] == [0, 7, 3]


@pytest.mark.parametrize(
    "bounds",
    [
        None,
        [],
        [1.0, 1.0],
        [2.0, 1.0],
        [0.5, "1"],
        [0.5, math.nan],
        [True],
        [10**400],
        [0.1 * each for each in range(21)],
    ],
)
def test_bounds_that_do_not_rise_are_none(bounds: object) -> None:
    with pytest.raises(EvidenceError, match="expected 1 to 20 rising numbers"):
        read_bins(bounds, 1)
