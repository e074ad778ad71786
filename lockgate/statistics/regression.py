"""Bounds on RMSE and R2, and on their differences on the same rows, from sums of errors.

Mean error, MAE and capped absolute error are means, and MSE is one: lockgate.statistics.empirical_bernstein bounds
them. `largest` is always the largest absolute error that a row can have, which is the width of the declared range of
the target: labels and predictions lie in it.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

from lockgate.statistics import empirical_bernstein
from lockgate.statistics.interval import Interval

_FOR_DIFFERENCE = 0.8  # of alpha; the rest is for what the difference is divided by


class Sums(NamedTuple):
    """Of one number for each row: its sum, and the sum of its squares."""

    total: float
    squares: float


def rmse(rows: int, errors: Sums, largest: float, alpha: float) -> Interval:
    """The root of the mean squared error; `errors` are sums of squared errors and of their squares."""
    return _root(empirical_bernstein.interval(rows, *errors, 0.0, largest**2, alpha))


def rmse_difference(
    rows: int, differences: Sums, challenger: Sums, champion: Sums, largest: float, alpha: float
) -> Interval:
    """Challenger's RMSE minus champion's: the difference of the two MSE over the sum of the two RMSE.

    differences: of the challenger's squared error minus the champion's, row by row. challenger, champion: of their
    squared errors. "Better at all" is decided by the difference of MSE alone.
    """
    squared = _squared_difference(rows, differences, largest, alpha)
    one, other = (rmse(rows, sums, largest, (1 - _FOR_DIFFERENCE) * alpha / 4) for sums in (challenger, champion))
    divided = _divided(squared, one.low + other.low, one.high + other.high)
    return Interval(max(divided.low, one.low - other.high), min(divided.high, one.high - other.low), divided.guarantee)


def variance(rows: int, labels: Sums, largest: float, alpha: float) -> Interval:
    """Of the target; `labels` are sums of (y - mean)^2 and of (y - mean)^4, with the mean of these rows.

    The variance is the mean of (y - y')^2 / 2 over pairs of rows, a U-statistic. Over rows // 2 pairs without a row in
    common its values are independent. Evidence from any such pairing has expectation at most 1, and so has its mean
    over all pairings, which is at least what the means over all pairs give (Hoeffding, JASA 58(301), 1963, section 5,
    and Jensen). So the bound of rows // 2 independent values holds, whatever the order of rows is.
    """
    pairs = rows // 2
    if pairs < 1:
        return Interval(0.0, largest**2 / 4, "finite-sample")
    mean = labels.total / (rows - 1)
    mean_square = (2 * rows * labels.squares + 6 * labels.total**2) / (4 * rows * (rows - 1))
    found = empirical_bernstein.interval(pairs, pairs * mean, pairs * mean_square, 0.0, largest**2 / 2, alpha)
    return Interval(found.low, min(found.high, largest**2 / 4), found.guarantee)


def r2(rows: int, errors: Sums, labels: Sums, largest: float, alpha: float) -> Interval:
    """1 - MSE / variance of the target, each bounded at half of alpha; minus infinity where the variance may be 0.

    errors: as in `rmse`. labels: as in `variance`.
    """
    squared = empirical_bernstein.interval(rows, *errors, 0.0, largest**2, alpha / 2)
    spread = variance(rows, labels, largest, alpha / 2)
    divided = _divided(squared, spread.low, spread.high)
    return Interval(1 - divided.high, 1 - divided.low, "finite-sample")


def r2_difference(rows: int, differences: Sums, labels: Sums, largest: float, alpha: float) -> Interval:
    """Challenger's R2 minus champion's: minus the difference of MSE, over the variance of the target.

    differences: as in `rmse_difference`. labels: as in `variance`.
    """
    squared = _squared_difference(rows, differences, largest, alpha)
    spread = variance(rows, labels, largest, (1 - _FOR_DIFFERENCE) * alpha / 2)
    divided = _divided(squared, spread.low, spread.high)
    return Interval(-divided.high, -divided.low, "finite-sample")


def _squared_difference(rows: int, differences: Sums, largest: float, alpha: float) -> Interval:
    return empirical_bernstein.interval(rows, *differences, -(largest**2), largest**2, _FOR_DIFFERENCE * alpha)


def _root(found: Interval) -> Interval:
    return Interval(sqrt(max(0.0, found.low)), sqrt(found.high), found.guarantee)


def _divided(found: Interval, least: float, most: float) -> Interval:
    """By a positive number between least and most."""

    def divided(end: float, divisor: float) -> float:
        if end == 0.0:
            return 0.0
        return end / divisor if divisor > 0.0 else (inf if end > 0.0 else -inf)

    low = divided(found.low, most if found.low >= 0.0 else least)
    high = divided(found.high, least if found.high >= 0.0 else most)
    return Interval(low, high, "finite-sample")
