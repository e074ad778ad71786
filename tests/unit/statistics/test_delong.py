import numpy as np
import pytest
from scipy import stats

from lockgate.statistics import delong


def _areas(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The area and its placement values from all pairs, without ranks."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    above = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return above.mean(), above.mean(axis=1), above.mean(axis=0)


def _drawn(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = (random.random(300) < 0.3).astype(int)
    shared = random.normal(size=300) + 1.0 * labels
    return labels, shared + 0.6 * random.normal(size=300), shared + 0.6 * random.normal(size=300)


def _difference(labels: np.ndarray, new: np.ndarray, old: np.ndarray, alpha: float):
    (area, p, n), (area_old, p_old, n_old) = _areas(labels, new), _areas(labels, old)
    covariance = np.cov(p, p_old) / len(p) + np.cov(n, n_old) / len(n)
    return delong.difference(area, area_old, covariance[0, 0], covariance[1, 1], covariance[0, 1], alpha)


def test_interval_is_the_normal_one_of_the_difference_and_says_asymptotic() -> None:
    found = delong.difference(0.91, 0.90, 4e-5, 5e-5, 3e-5, 0.025)
    theirs = stats.norm.interval(0.95, loc=0.01, scale=np.sqrt(4e-5 + 5e-5 - 6e-5))
    assert (found.low, found.high) == pytest.approx(theirs)
    assert found.guarantee == "asymptotic"


def test_a_single_area_likewise_within_0_and_1() -> None:
    found = delong.interval(0.99, 1e-4, 0.025)
    assert found.low == pytest.approx(stats.norm.ppf(0.025, 0.99, 0.01))
    assert found.high == 1.0


def test_interval_agrees_with_the_bootstraps() -> None:
    random = np.random.default_rng(9)
    labels, new, old = _drawn(random)
    found = _difference(labels, new, old, 0.025)
    resampled = []
    for _ in range(1000):
        rows = random.integers(0, len(labels), len(labels))
        resampled.append(_areas(labels[rows], new[rows])[0] - _areas(labels[rows], old[rows])[0])
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(resampled), rel=0.12)


def test_each_end_is_wrong_about_as_often_as_stated_on_300_rows() -> None:
    random = np.random.default_rng(4)
    found = [_difference(*_drawn(random), 0.05) for _ in range(600)]  # both models are equally good
    for wrong in (sum(i.low > 0 for i in found), sum(i.high < 0 for i in found)):
        assert stats.binom.ppf(0.0005, 600, 0.05) <= wrong <= stats.binom.isf(0.0005, 600, 0.05)


def test_each_end_of_a_single_area_is_wrong_about_as_often_as_stated_on_300_rows() -> None:
    random, found = np.random.default_rng(6), []
    truth = stats.norm.cdf(1 / np.sqrt(2))  # of two normals a standard deviation apart
    for _ in range(600):
        labels = (random.random(300) < 0.3).astype(int)
        area, p, n = _areas(labels, random.normal(size=300) + labels)
        found.append(delong.interval(area, p.var(ddof=1) / len(p) + n.var(ddof=1) / len(n), 0.05))
    for wrong in (sum(i.low > truth for i in found), sum(i.high < truth for i in found)):
        assert stats.binom.ppf(0.0005, 600, 0.05) <= wrong <= stats.binom.isf(0.0005, 600, 0.05)


@pytest.mark.parametrize("variance", [0.0, -1e-9, float("nan")])
def test_without_a_variance_nothing_is_claimed(variance: float) -> None:
    single = delong.interval(1.0, variance, 0.05)
    assert (single.low, single.high) == (0.0, 1.0)
    pair = delong.difference(0.9, 0.8, variance, 0.0, 0.0, 0.05)
    assert (pair.low, pair.high) == (-1.0, 1.0)
