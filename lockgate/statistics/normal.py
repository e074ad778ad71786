"""Normal bounds, and how far their error was checked by simulation (`make bench-gate`, docs/statistics.md).

Nobody vouches for a normal tail: how small a level may be depends on how many rows are behind a number. A variance is
worth so many rows as would make it alone, each changing the number by the largest that a row can.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

# The rows' worth that a level needs. At a smaller level than the last no number of rows was checked.
CHECKED = ((0.01, 10.0), (0.001, 20.0), (0.0001, 40.0))
SMALLEST_LEVEL = CHECKED[-1][0]


def is_checked(rows_worth: float, alpha: float) -> bool:
    """Whether a normal bound at this level may be used."""
    needed = next((rows for level, rows in CHECKED if alpha >= level), None)
    return needed is not None and rows_worth >= needed


def margin(variance: float, alpha: float) -> float:
    """How far one end is from a number of this variance."""
    return -NormalDist().inv_cdf(alpha) * sqrt(variance)
