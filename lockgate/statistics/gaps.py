"""Gaps between two groups.

They are of rates (demographic parity, equal opportunity, equalised odds, rates of each class) or of means (calibration,
mean error, mean absolute error).
"""

from __future__ import annotations

from math import inf

from lockgate.statistics import binomial
from lockgate.statistics.interval import Interval


def difference(successes: int, rows: int, other_successes: int, other_rows: int, alpha: float) -> Interval:
    """The first group's rate minus the other's: exact bounds on each at alpha / 2 (Bonferroni)."""
    return between(
        binomial.interval(successes, rows, alpha / 2), binomial.interval(other_successes, other_rows, alpha / 2)
    )


def ratio(successes: int, rows: int, other_successes: int, other_rows: int, alpha: float) -> Interval:
    """The first group's rate over the other's, likewise; infinite above where the other's rate may be 0."""
    return quotient(
        binomial.interval(successes, rows, alpha / 2), binomial.interval(other_successes, other_rows, alpha / 2)
    )


def between(one: Interval, other: Interval) -> Interval:
    """One mean minus the other, from intervals made at alpha / 2 each: calibration, mean error, MAE."""
    return Interval(one.low - other.high, one.high - other.low, "finite-sample")


def quotient(one: Interval, other: Interval) -> Interval:
    """One mean over the other, likewise, of means that are not below 0; infinite above where the other may be 0."""
    high = one.high / other.low if other.low > 0.0 else inf
    return Interval(one.low / other.high if other.high > 0.0 else 0.0, high, "finite-sample")
