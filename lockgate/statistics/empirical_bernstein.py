"""Bounds on the mean of a bounded loss, from its sums."""

from __future__ import annotations

from math import log, sqrt

from lockgate.statistics.interval import Interval


def interval(rows: int, total: float, squares: float, low: float, high: float, alpha: float) -> Interval:
    """Bounds on the mean of values between low and high, from their sum and the sum of their squares.

    Maurer and Pontil, COLT 2009, theorem 4: mean +- sqrt(2 v ln(2/alpha) / n) + 7 r ln(2/alpha) / (3 (n - 1)) with the
    unbiased variance v and the range r = high - low. Fewer than 2 rows say nothing: the interval is the range.
    """
    if not low < high:
        raise ValueError(f"range {low} to {high}: expected low < high")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha {alpha}: expected between 0 and 1")
    if rows < 2:
        return Interval(low, high, "finite-sample")
    mean = total / rows
    variance = max(0.0, (squares - rows * mean * mean) / (rows - 1))
    needed = log(2 / alpha)
    margin = sqrt(2 * variance * needed / rows) + 7 * (high - low) * needed / (3 * (rows - 1))
    return Interval(max(low, mean - margin), min(high, mean + margin), "finite-sample")
