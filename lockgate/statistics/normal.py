"""Normal bounds, and how far their error was checked by simulation (`make bench-gate`, docs/statistics.md).

Nobody vouches for a normal tail: how small a level may be depends on how many rows are behind a number. A variance is
worth so many rows as would make it alone, each changing the number by the largest that a row can.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from lockgate.statistics import empirical_bernstein
from lockgate.statistics.interval import Interval

SMALLEST_LEVEL = 0.0001  # no asymptotic bound was checked below
# The rows' worth that a level needs: of one area on the scale of log odds, and of a difference, whose values may all
# lie on one side.
CHECKED_AREA = ((0.01, 10.0), (0.001, 20.0), (0.0001, 40.0))
CHECKED_DIFFERENCE = ((0.05, 20.0), (0.01, 100.0), (0.001, 400.0))


def is_checked(checked: tuple[tuple[float, float], ...], rows_worth: float, alpha: float) -> bool:
    """Whether a normal bound at this level may be used."""
    needed = next((rows for level, rows in checked if alpha >= level), None)
    return needed is not None and rows_worth >= needed


def margin(variance: float, alpha: float) -> float:
    """How far one end is from a number of this variance."""
    return -NormalDist().inv_cdf(alpha) * sqrt(variance)


def difference(value: float, rows: int, squares: float, largest: float, alpha: float) -> Interval:
    """A difference within -1 to 1 that is about the mean of so many rows' parts in it, at SMALLEST_LEVEL or above.

    squares: of the parts' distances from that mean; largest: what each of them is at most, in size. Where too few rows
    are behind it for a normal bound, it is bounded as a mean of values of at most that size is. Both are asymptotic,
    since the parts stand for what a row changes.
    """
    if is_checked(CHECKED_DIFFERENCE, squares / largest**2, alpha):
        apart = margin(squares / rows**2, alpha)
        low, high = -apart, apart
    else:
        low, high, _ = empirical_bernstein.interval(rows, 0.0, squares, -largest, largest, alpha)
    return Interval(max(-1.0, value + low), min(1.0, value + high), "asymptotic")
