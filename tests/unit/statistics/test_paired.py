import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logsumexp
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from lockgate.statistics import paired

ALPHAS = st.sampled_from([0.2, 0.01, 1e-6, 1e-30])


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 10_000), st.sampled_from([0.1, 0.01, 1e-5]))
def test_a_bound_above_zero_is_the_exact_sign_test(wins: int, losses: int, ties: int, alpha: float) -> None:
    better = paired.interval(wins, losses, wins + losses + ties, alpha).low > 0
    p = stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue if wins + losses else 1.0
    if abs(p / (0.8 * alpha) - 1) > 1e-6:
        assert better == (p < 0.8 * alpha)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 1e-3])
def test_a_bound_above_zero_is_mcnemars_exact_test_of_statsmodels(alpha: float) -> None:
    """For every count of up to 30 rows on which the models disagree."""
    decided = set()
    for discordant in range(1, 31):
        for wins in range(discordant // 2 + 1, discordant + 1):
            losses = discordant - wins
            p = mcnemar([[100, wins], [losses, 0]], exact=True).pvalue / 2  # theirs is two-sided
            better = paired.lower_bound(wins, losses, discordant + 100, alpha) > 0
            assert better == (p < 0.8 * alpha), (wins, losses)
            decided.add(better)
    assert decided == {True, False}


def by_libraries(wins: int, losses: int, ties: int, alpha: float) -> float:
    """The lower bound from statsmodels' exact bounds and from the root that scipy finds of the capital in numpy."""
    discordant, rows = wins + losses, wins + losses + ties
    share = proportion_confint(wins, discordant, 2 * 0.8 * alpha, method="beta")[0] if discordant else 0.0
    low, high = proportion_confint(discordant, rows, 2 * 0.1 * alpha, method="beta")
    advantage = 2 * share - 1
    bets = np.array([0.95, *(0.7 * 2.0**-k for k in range(10))])

    def short_of_enough(mean: float) -> float:
        outcomes = zip((1.0, 0.5, 0.0), (wins, ties, losses), strict=True)
        logs = sum(count * np.log(1 - bets + bets * value / mean) for value, count in outcomes)
        return float(logsumexp(logs) - np.log(len(bets)) + np.log(0.1 * alpha))

    betting = -1.0 if short_of_enough(1e-9) < 0 else 2 * brentq(short_of_enough, 1e-9, 1 - 1e-12, xtol=1e-14) - 1
    return max(advantage * (low if advantage >= 0 else high), betting)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 10**5), st.sampled_from([0.1, 0.01, 1e-5, 1e-20]))
def test_bounds_equal_those_made_of_statsmodels_and_scipy(wins: int, losses: int, ties: int, alpha: float) -> None:
    found = paired.interval(wins, losses, wins + losses + ties, alpha)
    expected = by_libraries(wins, losses, ties, alpha), -by_libraries(losses, wins, ties, alpha)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rows", [30, 300, 2000])
@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.6])
@pytest.mark.parametrize("lean", [-1.0, -0.4, 0.0, 0.2, 1.0])
def test_each_end_is_wrong_no_more_often_than_stated(rows: int, disagreement: float, lean: float) -> None:
    """400 draws each at alpha 0.1; the allowance is what 400 draws at exactly 0.1 stay within but for 1 in 10,000."""
    truth = disagreement * lean
    random = np.random.default_rng(3)
    shares = [(disagreement + truth) / 2, (disagreement - truth) / 2, 1 - disagreement]
    drawn = random.multinomial(rows, shares, size=400).tolist()
    found = [paired.interval(wins, losses, rows, 0.1) for wins, losses, _ in drawn]
    allowed = stats.binom.isf(1e-4, 400, 0.1)
    assert sum(i.low > truth + 1e-12 for i in found) <= allowed
    assert sum(i.high < truth - 1e-12 for i in found) <= allowed


def test_false_passes_are_below_the_stated_rate_exactly() -> None:
    """Every pair of counts of 60 rows, weighted by its probability: no simulation error at all."""
    rows = 60
    found = {(w, l_): paired.interval(w, l_, rows, 0.05).low for w in range(rows + 1) for l_ in range(rows + 1 - w)}
    for disagreement in (0.05, 0.3, 0.9):
        for truth in (-0.05, 0.0, 0.04):
            shares = [(disagreement + truth) / 2, (disagreement - truth) / 2, 1 - disagreement]
            wrong = [pair for pair, low in found.items() if low > truth]
            outcomes = np.array([(w, l_, rows - w - l_) for w, l_ in wrong])
            assert stats.multinomial.pmf(outcomes, rows, shares).sum() <= 0.05


@example(0, 249, 9889, 1e-6)
@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 10**6), ALPHAS)
def test_the_observed_difference_is_inside_and_sides_mirror(wins: int, losses: int, ties: int, alpha: float) -> None:
    rows = wins + losses + ties
    found, mirrored = paired.interval(wins, losses, rows, alpha), paired.interval(losses, wins, rows, alpha)
    assert (found.low, found.high) == (-mirrored.high, -mirrored.low)
    assert -1 <= found.low <= found.high <= 1
    if rows:
        assert found.low <= (wins - losses) / rows + 1e-12
        assert found.high >= (wins - losses) / rows - 1e-12
    wider = paired.interval(wins, losses, rows, alpha / 10)
    assert wider.low <= found.low + 1e-12
    assert wider.high >= found.high - 1e-12


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 10**5), ALPHAS)
def test_a_loss_turned_into_a_win_never_lowers_the_bound(wins: int, losses: int, ties: int, alpha: float) -> None:
    rows = wins + losses + ties + 1
    before = paired.interval(wins, losses + 1, rows, alpha)
    after = paired.interval(wins + 1, losses, rows, alpha)
    assert after.low >= before.low - 1e-12


def test_no_rows_say_nothing_and_agreement_everywhere_is_no_difference_within_the_rows_seen() -> None:
    nothing = paired.interval(0, 0, 0, 0.05)
    assert (nothing.low, nothing.high) == (-1, 1)
    agreed = paired.interval(0, 0, 10_000, 0.05)
    assert -0.001 < agreed.low < 0 < agreed.high < 0.001


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="wins"):
        paired.interval(6, 5, 10, 0.05)


@pytest.mark.parametrize("alpha", [0.05, 1e-12])
def test_a_million_rows_take_milliseconds(alpha: float) -> None:
    best = min(_seconds(50_000, 49_000, 1_000_000, alpha) for _ in range(5))
    assert best < 0.03  # 2 to 6 ms on an idle core; the allowance is for a busy one


def _seconds(wins: int, losses: int, rows: int, alpha: float) -> float:
    started = time.process_time()
    paired.interval(wins, losses, rows, alpha)
    return time.process_time() - started
