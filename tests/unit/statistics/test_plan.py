import numpy as np
import pytest
from scipy import stats

from bench import easeml
from lockgate.statistics import binomial, paired, plan


@pytest.mark.parametrize(("disagreement", "fewer"), [(0.02, 40), (0.05, 15), (0.10, 8)])
def test_a_twentieth_of_the_peers_rows_give_the_planned_power(disagreement: float, fewer: float) -> None:
    need = plan.paired_need(0.01, disagreement, 0.02, 0.0, 0.8)
    assert easeml.rows(2, 0.02, 0.99, 1, "none") / need.rows >= fewer
    assert need.labels == pytest.approx(need.rows * disagreement, abs=1)
    shares = [(disagreement + 0.02) / 2, (disagreement - 0.02) / 2, 1 - disagreement]
    drawn = np.random.default_rng(1).multinomial(need.rows, shares, size=1000).tolist()
    passed = np.mean([paired.lower_bound(wins, losses, need.rows, 0.01) > 0 for wins, losses, _ in drawn])
    assert 0.76 <= passed <= 0.86


@pytest.mark.parametrize(("difference", "margin", "alpha"), [(0.0, -0.01, 1e-4), (0.02, 0.01, 0.01)])
def test_margins_other_than_zero_reach_the_planned_power(difference: float, margin: float, alpha: float) -> None:
    need = plan.paired_need(alpha, 0.05, difference, margin, 0.8)
    shares = [(0.05 + difference) / 2, (0.05 - difference) / 2, 0.95]
    drawn = np.random.default_rng(2).multinomial(need.rows, shares, size=600).tolist()
    passed = np.mean([paired.lower_bound(wins, losses, need.rows, alpha) > margin for wins, losses, _ in drawn])
    assert 0.74 <= passed <= 0.88


def test_rows_for_a_floor_reach_the_planned_power_exactly() -> None:
    need = plan.rate_need(0.01, 0.85, 0.8, 0.8)
    passing = [hits for hits in range(need.rows + 1) if binomial.lower_bound(hits, need.rows, 0.01) > 0.8]
    assert stats.binom.sf(passing[0] - 1, need.rows, 0.85) >= 0.8
    assert need.labels == need.rows


@pytest.mark.parametrize(
    ("steps", "reliability", "none", "full"),
    [(1, 0.99, 26_492, 29_958), (32, 0.99, 43_821, 137_396), (100, 0.99, 49_518, 373_066), (1, 0.999, 38_005, 41_471)],
)
def test_the_peers_published_figures_come_out_of_its_formulas(
    steps: int, reliability: float, none: int, full: int
) -> None:
    assert easeml.rows(2, 0.02, reliability, steps, "none") == none
    assert easeml.rows(2, 0.02, reliability, steps, "full") == full


@pytest.mark.parametrize(("steps", "none", "full"), [(1, 922, 1_060), (32, 1_615, 5_358), (100, 1_843, 14_784)])
def test_the_peers_figures_for_one_accuracy_too(steps: int, none: int, full: int) -> None:
    assert easeml.rows(1, 0.05, 0.99, steps, "none") == none
    assert easeml.rows(1, 0.05, 0.99, steps, "full") == full


@pytest.mark.parametrize(
    ("disagreement", "difference", "margin"), [(0.01, 0.02, 0.0), (0.1, 0.0, 0.0), (0.1, 0.01, 0.02), (0.0, 0.0, -0.1)]
)
def test_a_goal_that_no_rows_reach_is_refused(disagreement: float, difference: float, margin: float) -> None:
    with pytest.raises(ValueError, match="never exceeds"):
        plan.paired_need(0.01, disagreement, difference, margin, 0.8)
    with pytest.raises(ValueError, match="never above"):
        plan.rate_need(0.01, 0.8, 0.8, 0.8)


def test_more_rows_than_anyone_has_are_refused() -> None:
    with pytest.raises(ValueError, match="rows needed"):
        plan.paired_need(0.01, 0.5, 1e-6, 0.0, 0.8)
