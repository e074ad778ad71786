import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import normal_sample_size_one_tail

from bench import easeml
from lockgate.statistics import binomial, empirical_bernstein, paired, per_class, plan, regression
from lockgate.statistics.per_class import Counts
from lockgate.statistics.regression import Sums


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


def test_a_mean_loss_passes_as_often_as_planned() -> None:
    n = plan.mean_need(0.001, 0.3, 0.02, 0.7, 0.8)
    random, passed = np.random.default_rng(3), []
    for _ in range(300):
        losses = np.where(random.random(n) < 0.5, 0.0, 0.6)  # mean 0.3, deviation 0.3
        found = empirical_bernstein.interval(n, losses.sum(), (losses**2).sum(), 0.0, 1.0, 0.001)
        passed.append(found.high <= 0.32)
    assert 0.7 < np.mean(passed) < 0.9


@pytest.mark.parametrize(("deviation", "distance"), [(1.2, 0.04), (1.2, 0.05)])
@pytest.mark.parametrize("alpha", [0.05, 1e-3])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.99])
def test_rows_of_a_normal_bound_are_those_of_statsmodels(
    deviation: float, distance: float, alpha: float, power: float
) -> None:
    theirs = normal_sample_size_one_tail(distance, power, alpha, std_null=deviation)
    assert plan.area_difference_need(alpha, 0.85, deviation, distance, power) == pytest.approx(theirs, rel=0.003, abs=2)


def test_below_the_checked_level_an_area_needs_the_rows_of_its_finite_sample_bound() -> None:
    checked, below = (plan.area_need(alpha, 0.85, 0.02, 0.8) for alpha in (1e-4, 0.99e-4))
    assert below > 1.5 * checked


def test_the_deviation_of_an_area_is_that_of_simulated_ones() -> None:
    random, half = np.random.default_rng(5), 200  # exponential scores, as the formula has them, of area 0.8
    areas = []
    for _ in range(600):
        positive, negative = random.exponential(4.0, half), random.exponential(1.0, half)
        areas.append((positive[:, None] > negative[None, :]).mean())
    assert np.std(areas) * np.sqrt(2 * half) == pytest.approx(plan.area_deviation(0.8), rel=0.12)


def test_balanced_accuracy_passes_as_often_as_planned() -> None:
    n, random = plan.balanced_need(0.01, 4, 0.8, 0.04, 0.8), np.random.default_rng(6)
    hits = random.binomial(n, 0.8, (150, 4)).tolist()
    assert 0.7 < np.mean([per_class.balanced_accuracy(each, [n] * 4, 0.01).low >= 0.76 for each in hits]) < 0.9
    need = plan.balanced_difference_need(0.01, 4, 0.1, 0.03, 0.0, 0.8)
    each = need.rows // 4
    drawn = random.multinomial(each, [0.065, 0.035, 0.9], (150, 4))
    passed = [
        per_class.balanced_difference(d[:, 0].tolist(), d[:, 1].tolist(), [each] * 4, 0.01).low > 0 for d in drawn
    ]
    assert 0.7 < np.mean(passed) < 0.9
    assert need.labels == pytest.approx(need.rows * 0.1, abs=1)


def test_macro_f1_passes_as_often_as_planned() -> None:
    n, share = plan.f1_need(0.01, 3, 0.8, 0.05, 0.8), 0.8 / 1.2
    hits = np.random.default_rng(7).binomial(n, share, (300, 3)).tolist()
    assert 0.7 < np.mean([per_class.macro_f1(Counts(each, [n] * 3), 0.01).low >= 0.75 for each in hits]) < 0.9


def test_rmse_and_r2_pass_as_often_as_planned() -> None:
    """Normal errors and a normal target within a range of width 1."""
    random = np.random.default_rng(8)
    n = plan.rmse_need(0.01, 0.1, 0.01, 1.0, 3.0, 0.8)
    passed = []
    for _ in range(200):
        errors = random.normal(0, 0.1, n) ** 2
        passed.append(regression.rmse(n, Sums(errors.sum(), (errors**2).sum()), 1.0, 0.01).high <= 0.11)
    assert 0.7 < np.mean(passed) < 0.9
    n = plan.r2_need(0.01, 0.7, 0.1, 0.18, 1.0, 3.0, 0.8)
    passed = []
    for _ in range(200):
        target, errors = random.normal(0, 0.18, n), random.normal(0, 0.18 * np.sqrt(0.3), n) ** 2
        centred = (target - target.mean()) ** 2
        sums = Sums(errors.sum(), (errors**2).sum()), Sums(centred.sum(), (centred**2).sum())
        passed.append(regression.r2(n, *sums, 1.0, 0.01).low >= 0.6)
    assert 0.65 < np.mean(passed) < 0.95


def test_no_number_of_rows_finds_no_difference() -> None:
    for need in (
        lambda: plan.mean_need(0.01, 0.3, 0.0, 1.0, 0.8),
        lambda: plan.area_need(0.01, 0.8, 0.0, 0.8),
        lambda: plan.area_difference_need(0.01, 0.8, 0.3, -0.1, 0.8),
        lambda: plan.balanced_need(0.01, 3, 0.8, 0.0, 0.8),
        lambda: plan.balanced_difference_need(0.01, 3, 0.1, 0.0, 0.0, 0.8),
        lambda: plan.f1_need(0.01, 3, 0.8, 0.0, 0.8),
        lambda: plan.rmse_need(0.01, 0.1, 0.0, 1.0, 3.0, 0.8),
        lambda: plan.r2_need(0.01, 0.7, 0.0, 0.18, 1.0, 3.0, 0.8),
    ):
        with pytest.raises(ValueError, match="never"):
            need()
