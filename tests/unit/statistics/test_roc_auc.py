import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import entropy

from lockgate.statistics import empirical_bernstein, normal, roc_auc

SMALLEST = normal.SMALLEST_LEVEL


def _areas(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The area and its placement values from all pairs, without ranks."""
    above = _pairs(labels, scores)
    return above.mean(), above.mean(axis=1), above.mean(axis=0)


def _pairs(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    positive, negative = scores[labels == 1], scores[labels == 0]
    return (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])


def _drawn(random: np.random.Generator, rows: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = (random.random(rows) < 0.3).astype(int)
    shared = random.normal(size=rows) + 1.0 * labels
    return labels, shared + 0.6 * random.normal(size=rows), shared + 0.6 * random.normal(size=rows)


def _single(labels: np.ndarray, scores: np.ndarray, alpha: float):
    area, p, n = _areas(labels, scores)
    return roc_auc.interval(area, p.var(ddof=1) / len(p) + n.var(ddof=1) / len(n), len(p), len(n), alpha)


def _difference(labels: np.ndarray, new: np.ndarray, old: np.ndarray, alpha: float):
    (area, p, n), (area_old, p_old, n_old) = _areas(labels, new), _areas(labels, old)
    covariance = np.cov(p, p_old) / len(p) + np.cov(n, n_old) / len(n)
    variances = covariance[0, 0], covariance[1, 1], covariance[0, 1]
    return roc_auc.difference(area, area_old, *variances, len(p), len(n), alpha)


def test_a_difference_has_the_normal_interval_and_says_asymptotic() -> None:
    found = roc_auc.difference(0.91, 0.90, 4e-5, 5e-5, 3e-5, 2000, 3000, 0.025)
    theirs = stats.norm.interval(0.95, loc=0.01, scale=np.sqrt(4e-5 + 5e-5 - 6e-5))
    assert (found.low, found.high) == pytest.approx(theirs)
    assert found.guarantee == "asymptotic"


def test_a_single_area_has_it_on_the_scale_of_log_odds() -> None:
    found = roc_auc.interval(0.97, 1e-5, 2000, 3000, 0.025)
    deviation = np.sqrt(1e-5) / (0.97 * 0.03)
    assert (found.low, found.high) == pytest.approx(tuple(expit(stats.norm.interval(0.95, logit(0.97), deviation))))
    assert found.guarantee == "asymptotic"


def test_interval_agrees_with_the_bootstraps() -> None:
    random = np.random.default_rng(9)
    labels, new, old = _drawn(random, 1500)
    found = _difference(labels, new, old, 0.05)
    resampled = []
    for _ in range(200):
        rows = random.integers(0, len(labels), len(labels))
        resampled.append(_areas(labels[rows], new[rows])[0] - _areas(labels[rows], old[rows])[0])
    assert found.guarantee == "asymptotic"
    assert found.high - found.low == pytest.approx(2 * 1.645 * np.std(resampled), rel=0.2)


@pytest.mark.parametrize("single", [True, False])
def test_each_end_of_a_normal_bound_is_wrong_about_as_often_as_stated(single: bool) -> None:
    """A truth of two normals a standard deviation apart, or of two models that are equally good."""
    random, found, truth = np.random.default_rng(4), [], stats.norm.cdf(1 / np.sqrt(2)) if single else 0.0
    while len(found) < 150:
        labels, new, old = _drawn(random, 1500)
        scores = random.normal(size=1500) + labels
        found.append(_single(labels, scores, 0.05) if single else _difference(labels, new, old, 0.05))
    assert {each.guarantee for each in found} == {"asymptotic"}
    for wrong in (sum(i.low > truth for i in found), sum(i.high < truth for i in found)):
        assert stats.binom.ppf(0.0005, 150, 0.05) <= wrong <= stats.binom.isf(0.0005, 150, 0.05)


@pytest.mark.parametrize(("level", "rows"), normal.CHECKED_AREA)
def test_below_the_rows_and_the_level_that_were_checked_an_area_has_a_finite_sample_bound(
    level: float, rows: float
) -> None:
    variance = rows / 500**2
    assert roc_auc.interval(0.8, variance, 500, 900, level).guarantee == "asymptotic"
    assert roc_auc.interval(0.8, variance, 499, 900, level).guarantee == "finite-sample"
    assert roc_auc.interval(0.8, 0.01, 5000, 9000, SMALLEST / 1.001).guarantee == "finite-sample"


@pytest.mark.parametrize(("level", "rows"), normal.CHECKED_DIFFERENCE)
def test_below_the_rows_that_were_checked_a_difference_has_a_longer_tail(level: float, rows: float) -> None:
    enough, few = (
        roc_auc.difference(0.8, 0.8, rows / 5000**2, 0.0, 0.0, 9000, smaller, level) for smaller in (5000, 4999)
    )
    assert enough.high == pytest.approx(stats.norm.isf(level) * np.sqrt(rows) / 5000)
    assert few.high > 1.05 * enough.high
    assert {enough.guarantee, few.guarantee} == {"asymptotic"}
    below = roc_auc.difference(0.8, 0.8, rows / 5000**2, 0.0, 0.0, 9000, 5000, SMALLEST / 1.001)
    assert below.guarantee == "finite-sample"


def test_a_finite_sample_bound_is_that_of_as_many_pairs_as_the_smaller_class_has_rows() -> None:
    found = roc_auc.interval(0.9, 1e-5, 3000, 800, 1e-6)
    assert found.guarantee == "finite-sample"
    for value, bound in ((0.9, found.low), (0.1, 1 - found.high)):
        root = brentq(lambda mean, v=value: 800 * entropy([v, 1 - v], [mean, 1 - mean]) - np.log(1e6), 1e-9, value)
        assert bound == pytest.approx(root, abs=1e-9)
    found = roc_auc.difference(0.9, 0.88, 1e-5, 1e-5, 9e-6, 3000, 800, 1e-6)
    assert found[:2] == pytest.approx(empirical_bernstein.interval(800, 16.0, 176.0, -1, 1, 1e-6)[:2])


def test_a_finite_sample_bound_is_tighter_than_hoeffdings() -> None:
    """exp(-2 m e^2) of m pairs (Hoeffding, JASA 58(301), 1963, 5.7), twice as wide for values of a difference."""
    hoeffding = np.sqrt(np.log(1e6) / (2 * 1000))
    assert 0.9 - roc_auc.interval(0.9, 0.0, 1000, 1000, 1e-6).low < 0.7 * hoeffding
    assert 0.01 - roc_auc.difference(0.91, 0.9, 0.0, 0.0, 0.0, 1000, 1000, 1e-6).low < 0.6 * 2 * hoeffding


def test_values_of_pairs_have_no_larger_squares_than_are_assumed() -> None:
    labels, new, old = _drawn(np.random.default_rng(2))
    new, old = new.round(), old.round()  # ties
    one, other = _pairs(labels, new), _pairs(labels, old)
    assert ((one - other) ** 2).mean() <= 2 - one.mean() - other.mean()


@pytest.mark.parametrize("hard", [0.0, 0.05, 0.3])
def test_a_finite_sample_bound_is_wrong_no_more_often_than_stated_with_few_positives(hard: float) -> None:
    """Some positives look like negatives, all others are above them; 300 draws of 12 positives at alpha 0.2."""
    random, found = np.random.default_rng(6), []
    for _ in range(300):
        positive = np.where(random.random(12) < hard, 0.0, 9.0) + random.normal(size=12)
        labels, scores = np.repeat([1, 0], [12, 40]), np.concatenate([positive, random.normal(size=40)])
        area = _areas(labels, scores)[0]
        found.append(roc_auc.interval(area, 0.0, 12, 40, 0.2))
    truth, allowed = 1 - hard / 2, stats.binom.isf(1e-4, 300, 0.2)
    assert sum(each.low > truth for each in found) <= allowed
    assert sum(each.high < truth - 1e-9 for each in found) <= allowed


@given(
    st.floats(0, 1),
    st.floats(0, 0.25),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.sampled_from([0.2, 1e-3, 1e-9]),
)
def test_the_area_found_is_inside_and_an_interval_is_within_0_and_1(
    area: float, variance: float, positives: int, negatives: int, alpha: float
) -> None:
    found = roc_auc.interval(area, variance, positives, negatives, alpha)
    assert 0 <= found.low <= area + 1e-9
    assert area - 1e-9 <= found.high <= 1


@pytest.mark.parametrize("variance", [0.0, -1e-9, float("nan")])
def test_without_a_variance_the_rows_alone_decide(variance: float) -> None:
    single = roc_auc.interval(1.0, variance, 400, 300, 0.05)
    assert 0.98 < single.low < single.high == 1.0
    pair = roc_auc.difference(0.9, 0.8, variance, 0.0, 0.0, 400, 300, 0.05)
    assert pair.guarantee == "finite-sample"
    nothing = roc_auc.interval(1.0, variance, 400, 0, 0.05)
    assert (nothing.low, nothing.high) == (0.0, 1.0)
