"""Exact bounds on a rate, from counts: accuracy-like metrics, rates of a group, limits."""

from __future__ import annotations

from functools import lru_cache

from lockgate.statistics._beta import quantile
from lockgate.statistics.interval import Interval


def lower_bound(successes: int, rows: int, alpha: float) -> float:
    """The largest rate that is above the true one with probability at most alpha; 0 when nothing was seen.

    Clopper and Pearson, Biometrika 26(4), 1934: the alpha quantile of Beta(successes, rows - successes + 1).
    """
    _check(successes, rows)
    return 0.0 if successes == 0 else quantile(successes, rows - successes + 1, alpha)


def upper_bound(successes: int, rows: int, alpha: float) -> float:
    """The smallest rate that is below the true one with probability at most alpha; 1 when nothing was seen."""
    _check(successes, rows)
    return 1.0 if successes == rows else 1.0 - quantile(rows - successes, successes + 1, alpha)


@lru_cache(maxsize=1024)  # each group is compared with every other
def interval(successes: int, rows: int, alpha: float) -> Interval:
    """Both bounds; each is wrong with probability at most alpha. With 0 rows it is all of 0 to 1."""
    return Interval(lower_bound(successes, rows, alpha), upper_bound(successes, rows, alpha), "exact")


def _check(successes: int, rows: int) -> None:
    if not 0 <= successes <= rows:
        raise ValueError(f"{successes} successes of {rows} rows: expected 0 <= successes <= rows")
