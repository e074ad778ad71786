"""Bounds on the mean of a bounded value, from its sums: a loss, an error, the difference of two losses.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86(1), 2024: if values of 0
or more have a mean of at most m, the capital prod(1 + share (x / m - 1)) of a bettor has expectation at most 1. The
lower bound is the largest m against which the capital reaches 1 / alpha. The sums do not tell the capital, but they
tell how large it is at least, since log(1 + s y) >= s y - (-log(1 - s) - s) y^2 for every y of -1 or more (Fan, Grama,
Liu, "Exponential inequalities for martingales with applications", EJP 20(1), 2015, lemma 4.1). The true capital falls
as m rises, so whatever m this refutes, every smaller one is refuted too.

For values near their mean the margin is about sqrt(2 v L / n) + d L / n, with L a little more than log(1 / alpha) and d
the distance from the mean to that end of the range from which the bound comes. Maurer and Pontil (COLT 2009, theorem 4)
have 7/3 of the whole range in place of d, which is what a range with a long tail costs.
"""

from __future__ import annotations

from math import exp, log, log1p, sqrt

from lockgate.statistics.interval import Interval

_STEP = 2.5  # between two shares
_MOST = 0.95
_ROUNDING = 1e-9


def interval(rows: int, total: float, squares: float, low: float, high: float, alpha: float) -> Interval:
    """Bounds on the mean of values between low and high, from their sum and the sum of their squares.

    Rows may be independent values, or `rows` may be the smaller sample of a two-sample U-statistic (see roc_auc).
    No rows say nothing, nor do sums of values outside the range: the interval is the range.
    """
    if not low < high:
        raise ValueError(f"range {low} to {high}: expected low < high")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha {alpha}: expected between 0 and 1")
    width = high - low
    above = (total - rows * low) / width, (squares - 2 * low * total + rows * low * low) / (width * width)
    below = (rows * high - total) / width, (squares - 2 * high * total + rows * high * high) / (width * width)
    return Interval(
        max(low, low + width * _lower_bound(rows, *above, alpha)),
        min(high, high - width * _lower_bound(rows, *below, alpha)),
        "finite-sample",
    )


def shares(rows: int) -> list[float]:
    """The shares of the capital that are bet, each as likely: from what suits values as wide as their distance from the
    end of the range, at an alpha of a few percent. They depend on nothing that was seen, and not on alpha, so that a
    smaller alpha is never tighter.
    """
    share, found = max(1e-9, 1.2 / sqrt(rows)), []
    while share < _MOST:
        found.append(share)
        share *= _STEP
    return [*found, _MOST]


def _penalty(share: float) -> float:
    return -log1p(-share) - share


def _lower_bound(rows: int, total: float, squares: float, alpha: float) -> float:
    """Of the mean of values from 0 to 1."""
    if not (1e-12 * rows < total <= rows * (1 + _ROUNDING) and squares <= total * (1 + _ROUNDING)):
        return 0.0  # nothing was seen, or a value outside the range
    squares = max(squares, total * total / rows)  # what rounding may have lost
    bets = shares(rows)
    low, high = _refuted_by_one_share(bets, rows, total, squares, alpha), total / rows
    while high - low > 1e-12 * high and low > 0.0:
        middle = (low + high) / 2
        if _log_capital(bets, rows, total / middle, squares / (middle * middle)) >= -log(alpha):
            low = middle
        else:
            high = middle
    return low


def _log_capital(bets: list[float], rows: int, total: float, squares: float) -> float:
    """At least so much, against the mean in which the sums are measured."""
    logs = [share * (total - rows) - _penalty(share) * (squares - 2 * total + rows) for share in bets]
    largest = max(logs)
    return largest + log(sum(exp(value - largest) for value in logs) / len(bets))


def _refuted_by_one_share(bets: list[float], rows: int, total: float, squares: float, alpha: float) -> float:
    """The largest mean against which one of the shares has enough alone: a quadratic equation in 1 / mean."""
    largest = 0.0
    for share in bets:
        penalty = _penalty(share)
        a, b = penalty * squares, (share + 2 * penalty) * total
        c = rows * (share + penalty) + log(len(bets) / alpha)
        if b * b >= 4 * a * c:
            largest = max(largest, (b + sqrt(b * b - 4 * a * c)) / (2 * c))
    return min(largest, total / rows)
