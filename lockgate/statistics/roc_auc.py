"""Bounds on ROC AUC and on the difference of two on the same rows.

Where it was checked (lockgate.statistics.normal), a normal bound with DeLong's variance (DeLong, DeLong,
Clarke-Pearson, Biometrics 44(3), 1988). Of one area it is made on the scale of log odds, since on its own scale an area
near 1 is wrong many times as often as stated (Qin and Hotilovac, Statistical Methods in Medical Research 17(2), 2008,
compare the two). A row of the smaller class changes an area by 1 / (rows of that class) at most, once for all of the
other class. It is asymptotic.

Elsewhere a finite-sample one. An area is a mean over all pairs of a positive and a negative, a two-sample U-statistic.
Over min(positives, negatives) pairs without a row in common its values are independent. What bounds the mean of so many
independent values by their exponential moments bounds the area too: it is the mean over all such pairings, and the
exponential of a mean is at most the mean of the exponentials (Hoeffding, JASA 58(301), 1963, section 5b).
"""

from __future__ import annotations

from math import exp, log

from lockgate.statistics import empirical_bernstein, normal
from lockgate.statistics.interval import Interval


def interval(auc: float, variance: float, positives: int, negatives: int, alpha: float) -> Interval:
    """One model's ROC AUC; `variance` is that of the AUC itself.

    Without it, the value of a pair is from 0 to 1 (Hoeffding 1963, theorem 1, in the form with the divergence).
    """
    smaller = min(positives, negatives)
    if not (0.0 < auc < 1.0 and normal.is_checked(normal.CHECKED_AREA, smaller**2 * variance, alpha)):
        low, high = _by_divergence(auc, smaller, alpha), 1 - _by_divergence(1 - auc, smaller, alpha)
        return Interval(low, high, "finite-sample")
    odds, margin = log(auc / (1 - auc)), normal.margin(variance, alpha) / (auc * (1 - auc))
    return Interval(_share(odds - margin), _share(odds + margin), "asymptotic")


def difference(
    challenger: float,
    champion: float,
    challenger_variance: float,
    champion_variance: float,
    covariance: float,
    positives: int,
    negatives: int,
    alpha: float,
) -> Interval:
    """Challenger's ROC AUC minus champion's, on the same rows (DeLong et al. 1988, equation 6).

    A row of the smaller class has a part of at most 1 in the difference. Without a variance, and below the levels that
    were checked, the value of a pair is at most by how much either model falls short of 1 there.
    """
    value = challenger - champion
    variance, smaller = challenger_variance + champion_variance - 2 * covariance, min(positives, negatives)
    if smaller and variance > 0.0 and alpha >= normal.SMALLEST_LEVEL:
        return normal.difference(value, smaller, smaller**2 * variance, 1.0, alpha)
    squares = smaller * min(1.0, 2 - challenger - champion)
    return empirical_bernstein.interval(smaller, smaller * value, squares, -1.0, 1.0, alpha)


def _by_divergence(mean: float, rows: int, alpha: float) -> float:
    """The lower bound on the mean of so many values from 0 to 1: rows KL(mean, bound) = log(1 / alpha)."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha {alpha}: expected between 0 and 1")
    low, high = 0.0, min(1.0, mean)
    for _ in range(60):
        middle = (low + high) / 2
        if middle > 0.0 and rows * _divergence(mean, middle) >= -log(alpha):
            low = middle
        else:
            high = middle
    return low


def _divergence(mean: float, other: float) -> float:
    rest = (1 - mean) * log((1 - mean) / (1 - other)) if mean < 1.0 else 0.0
    return mean * log(mean / other) + rest if mean > 0.0 else rest


def _share(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds)) if log_odds > -700.0 else 0.0
