"""How many labelled rows a decision needs, before a holdout is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, sqrt
from statistics import NormalDist

from lockgate.statistics import binomial, paired
from lockgate.statistics._beta import log_cdf

_MOST_ROWS = 10**9
_DISAGREEMENT_POINTS = 9


@dataclass(frozen=True)
class Need:
    """Rows of a holdout, and how many of them need a label when only rows on which the models disagree do."""

    rows: int
    labels: int


@lru_cache(maxsize=1024)
def paired_need(alpha: float, disagreement: float, difference: float, margin: float, power: float) -> Need:
    """Rows at which a challenger that is `difference` better passes "better than `margin`" with probability `power`.

    disagreement: share of rows on which exactly one of both is right, at least `difference`. Planning guesses it, and
    the decision does not assume it. Raises ValueError where no number of rows would do.
    """
    if not (abs(difference) <= disagreement <= 1 and disagreement > 0 and difference > margin):
        raise ValueError(f"difference {difference} with disagreement {disagreement} never exceeds {margin} for certain")
    normal = NormalDist()
    deviations = normal.inv_cdf(power) - normal.inv_cdf(alpha)
    guess = deviations**2 * max(disagreement - difference**2, 1e-9) / (difference - margin) ** 2
    start = max(1, ceil(guess / 2))
    while start > 1 and _power(start, alpha, disagreement, difference, margin) >= power:
        start //= 2
    rows = _smallest(lambda n: _power(n, alpha, disagreement, difference, margin) >= power, start)
    return Need(rows, ceil(rows * disagreement))


def rate_need(alpha: float, rate: float, floor: float, power: float) -> Need:
    """Rows at which a model with a true `rate` is shown to be above a floor with probability `power`; all labelled."""
    if not floor < rate <= 1:
        raise ValueError(f"a rate of {rate} is never above {floor}")

    def shows(rows: int) -> bool:
        needed = _fewest(lambda hits: binomial.lower_bound(hits, rows, alpha) > floor, rows, floor)
        return _at_least(needed, rows, rate) >= power

    rows = _smallest(shows, 1)
    return Need(rows, rows)


def _smallest(decides: Callable[[int], bool], start: int) -> int:
    """The smallest number of rows from `start` on that decides, if more rows always do; ValueError beyond a billion."""
    low, high = start - 1, max(start, 1)
    while not decides(high):
        low, high = high, 2 * high
        if high > _MOST_ROWS:
            raise ValueError(f"more than {_MOST_ROWS} rows needed")
    while high - low > max(1, high // 1000):  # a thousandth is closer than anyone draws rows
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle
    return high


def _power(rows: int, alpha: float, disagreement: float, difference: float, margin: float) -> float:
    """Probability of passing, averaged over nine equally likely numbers of rows on which the models disagree."""
    share_of_wins = (1 + difference / disagreement) / 2
    spread = NormalDist(rows * disagreement, sqrt(rows * disagreement * (1 - disagreement)) or 1e-9)
    total = 0.0
    for point in range(_DISAGREEMENT_POINTS):
        discordant = min(rows, max(0, round(spread.inv_cdf((point + 0.5) / _DISAGREEMENT_POINTS))))
        total += _at_least(_wins_needed(discordant, rows, alpha, margin), discordant, share_of_wins)
    return total / _DISAGREEMENT_POINTS


def _wins_needed(discordant: int, rows: int, alpha: float, margin: float) -> int:
    def passes(wins: int) -> bool:
        return paired.lower_bound(wins, discordant - wins, rows, alpha) > margin

    return _fewest(passes, discordant, 0.5 + margin * rows / (2 * max(1, discordant)))


def _fewest(passes: Callable[[int], bool], most: int, share: float) -> int:
    """The fewest hits that pass, most + 1 if none does; a model at the limit would have about `share` of `most`."""
    low, high = min(most, max(-1, int(share * most) - 1)), most + 1
    step = max(1, ceil(2 * sqrt(most)))
    while low + step < high and not passes(low + step):
        low += step
    high = min(high, low + step)
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle
    return high


def _at_least(hits: int, rows: int, rate: float) -> float:
    """Probability of at least so many hits: the binomial tail by the incomplete beta function (DLMF 8.17.5)."""
    if hits <= 0:
        return 1.0
    if hits > rows:
        return 0.0
    return exp(log_cdf(rate, hits, rows - hits + 1))
