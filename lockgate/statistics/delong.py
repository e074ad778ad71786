"""Intervals for ROC AUC and for the difference of two on the same rows, from DeLong's variances. Asymptotic."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from lockgate.statistics.interval import Interval


def interval(auc: float, variance: float, alpha: float) -> Interval:
    """One model's ROC AUC. `variance` is that of the AUC itself (DeLong et al., Biometrics 44(3), 1988).

    A variance of 0 (perfect order, or one row of a class) says nothing about the next rows: the interval is 0 to 1.
    """
    return _normal(auc, variance, alpha, 0.0, 1.0)


def difference(
    challenger: float,
    champion: float,
    challenger_variance: float,
    champion_variance: float,
    covariance: float,
    alpha: float,
) -> Interval:
    """Challenger's ROC AUC minus champion's, on the same rows (DeLong et al. 1988, equation 6)."""
    variance = challenger_variance + champion_variance - 2 * covariance
    return _normal(challenger - champion, variance, alpha, -1.0, 1.0)


def _normal(value: float, variance: float, alpha: float, low: float, high: float) -> Interval:
    if not variance > 0.0:
        return Interval(low, high, "asymptotic")
    margin = -NormalDist().inv_cdf(alpha) * sqrt(variance)
    return Interval(max(low, value - margin), min(high, value + margin), "asymptotic")
