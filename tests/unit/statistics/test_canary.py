"""The sequential test of a canary: right numbers, no false alarms however often one looks, prompt detection."""

from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, nchypergeom_fisher

from lockgate.statistics.canary import ODDS, Minute, e_value


def by_scipy(minutes: list[Minute]) -> float:
    """Its mean over odds of the product of scipy's probabilities: an independent way."""
    products = np.zeros(len(ODDS))
    for m in minutes:
        whole, errors = m.canary_requests + m.other_requests, m.canary_errors + m.other_errors
        central = hypergeom.logpmf(m.canary_errors, whole, errors, m.canary_requests)
        products += [
            nchypergeom_fisher.logpmf(m.canary_errors, whole, errors, m.canary_requests, odds) - central
            for odds in ODDS
        ]
    return float(np.exp(products).mean())


COUNTS = st.tuples(st.integers(1, 60), st.integers(1, 300), st.floats(0, 1), st.floats(0, 0.5)).map(
    lambda c: Minute(c[0], int(c[0] * c[2]), c[1], int(c[1] * c[3]))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=4))
def test_it_is_the_mean_over_odds_of_fishers_noncentral_ratios(minutes: list[Minute]) -> None:
    assert log(e_value(minutes)) == pytest.approx(log(by_scipy(minutes)), abs=1e-6)


@pytest.mark.parametrize("requests", [(5, 20), (30, 30)])
@pytest.mark.parametrize("errors", [1, 3, 7])
def test_its_expectation_is_one_where_both_fail_alike(requests: tuple[int, int], errors: int) -> None:
    canary, other = requests
    counts = range(max(0, errors - other), min(errors, canary) + 1)
    expected = sum(
        hypergeom.pmf(j, canary + other, errors, canary) * e_value([Minute(canary, j, other, errors - j)])
        for j in counts
    )
    assert expected == pytest.approx(1.0, rel=1e-9)


def test_without_errors_or_with_traffic_on_one_side_only_there_is_no_evidence() -> None:
    assert e_value([]) == 1.0
    assert e_value([Minute(100, 0, 900, 0)] * 50) == pytest.approx(1.0)
    assert e_value([Minute(0, 0, 900, 30), Minute(50, 50, 0, 0)]) == pytest.approx(1.0)


def test_a_bad_upstream_that_hits_both_is_no_evidence() -> None:
    assert e_value([Minute(100, 50, 900, 450)] * 10) < 1.0


def test_a_better_canary_lowers_the_evidence() -> None:
    assert e_value([Minute(100, 0, 900, 90)] * 5) < 0.01


def test_a_canary_that_only_fails_is_found_within_a_few_requests() -> None:
    assert e_value([Minute(5, 5, 45, 0)]) > 1000


def test_overwhelming_evidence_is_infinite_and_no_error() -> None:
    assert e_value([Minute(3000, 3000, 3000, 0)]) == inf


@pytest.mark.parametrize("counts", [(1, 2, 0, 0), (0, 0, 3, 4), (-1, 0, 5, 0), (5, -1, 5, 0)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected 0 <= errors <= requests"):
        Minute(*counts)


def test_looking_every_minute_raises_no_more_false_alarms_than_stated() -> None:
    """600 canaries of 60 minutes that are no worse, with a rate of errors that changes every minute, at alpha 0.05."""
    random, alpha, alarms = np.random.default_rng(20261122), 0.05, 0
    for _ in range(600):
        seen: list[Minute] = []
        for _ in range(60):
            rate = random.beta(0.5, 10)
            seen.append(Minute(20, int(random.binomial(20, rate)), 180, int(random.binomial(180, rate))))
        evidence = np.exp(np.cumsum([_logs(minute) for minute in seen], axis=0)).mean(axis=1)
        alarms += bool((evidence >= 1 / alpha).any())
    assert alarms / 600 <= alpha + 3 * (alpha * (1 - alpha) / 600) ** 0.5


def _logs(minute: Minute) -> list[float]:
    from lockgate.statistics import canary

    return canary._log_ratios(minute)
