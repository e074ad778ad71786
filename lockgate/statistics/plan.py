"""How many labelled rows a decision needs, before a holdout is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, sqrt
from statistics import NormalDist

from lockgate.statistics import binomial, empirical_bernstein, paired, per_class, regression, roc_auc
from lockgate.statistics._beta import log_cdf
from lockgate.statistics.per_class import Counts
from lockgate.statistics.regression import Sums

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


@lru_cache(maxsize=1024)
def mean_need(alpha: float, deviation: float, distance: float, reach: float, power: float) -> int:
    """Rows at which the bound on a mean of bounded values passes a limit so far away with probability `power`.

    deviation: of a row's value, at most `reach`. reach: from the mean to the end of the range on the other side of the
    limit, at most the range's width; of a difference of two losses it is the largest loss.
    """
    _needs_distance(distance)
    deviation = min(deviation, reach)

    def passes(rows: int) -> bool:
        sums = rows * reach, rows * (deviation**2 + reach**2)
        low = empirical_bernstein.interval(rows, *sums, 0.0, 2 * reach, alpha).low
        return reach - low <= distance - _luck(power) * deviation / sqrt(rows)

    return _smallest(passes, 1)


def area_need(alpha: float, area: float, distance: float, power: float) -> int:
    """Rows, as many of each label, at which a ROC AUC is shown to be above a floor so far below it."""
    _needs_distance(distance)

    def passes(rows: int) -> bool:
        variance, half = area_deviation(area) ** 2 / rows, rows // 2
        found = max(0.0, area - _luck(power) * sqrt(variance))
        return roc_auc.interval(found, variance, half, half, alpha).low >= area - distance

    return _smallest(passes, 2)


def area_difference_need(alpha: float, area: float, deviation: float, distance: float, power: float) -> int:
    """Rows, as many of each label, at which a ROC AUC is shown to be better than the champion's by a margin that its
    difference is so far above; deviation: of a row's part in the difference."""
    _needs_distance(distance)

    def passes(rows: int) -> bool:
        variance, half = deviation**2 / rows, rows // 2
        found = distance - _luck(power) * sqrt(variance)
        return roc_auc.difference(area, area - found, variance, 0.0, 0.0, half, half, alpha).low >= 0

    return _smallest(passes, 2)


def area_deviation(area: float) -> float:
    """Of a row, of ROC AUC, with as many labels 1 as 0: Hanley and McNeil, Radiology 143(1), 1982, equation 1."""
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    return sqrt(2 * (q1 + q2 - 2 * area * area))


def balanced_need(alpha: float, classes: int, recall: float, distance: float, power: float) -> int:
    """Rows of each class at which balanced accuracy is shown to be above a floor so far below it."""
    _needs_distance(distance)

    def passes(rows: int) -> bool:
        found = recall - _luck(power) * sqrt(recall * (1 - recall) / (rows * classes))
        hits = [min(rows, max(0, round(rows * found)))] * classes
        return per_class.balanced_accuracy(hits, [rows] * classes, alpha).low >= recall - distance

    return _smallest(passes, 1)


def balanced_difference_need(
    alpha: float, classes: int, disagreement: float, difference: float, margin: float, power: float
) -> Need:
    """As paired_need, of balanced accuracy: rows of all classes together, of which each has as many."""
    _needs_distance(difference - margin)

    def passes(rows: int) -> bool:
        found = difference - _luck(power) * sqrt(max(0.0, disagreement - difference**2) / (rows * classes))
        wins, losses = (max(0, round(rows * (disagreement + sign * found) / 2)) for sign in (1, -1))
        each = [wins] * classes, [min(losses, rows - wins)] * classes, [rows] * classes
        return per_class.balanced_difference(each[0], each[1], each[2], alpha).low > margin

    rows = _smallest(passes, 1) * classes
    return Need(rows, ceil(rows * disagreement))


def f1_need(alpha: float, classes: int, f1: float, distance: float, power: float) -> int:
    """Rows in a class's TP + FP + FN, each class having as many, at which macro F1 is above a floor so far below it."""
    _needs_distance(distance)
    share = f1 / (2 - f1)

    def passes(rows: int) -> bool:
        found = share - _luck(power) * sqrt(share * (1 - share) / (rows * classes))
        hits = min(rows, max(0, round(rows * found)))
        return per_class.macro_f1(Counts([hits] * classes, [rows] * classes), alpha).low >= f1 - distance

    return _smallest(passes, 1)


def rmse_need(alpha: float, rmse: float, distance: float, largest: float, tail: float, power: float) -> int:
    """Rows at which RMSE is shown to be below a ceiling so far above it.

    tail: the kurtosis of the error, 3 for a normal one. largest: the width of the target's declared range.
    """
    deviation = rmse**2 * sqrt(max(0.0, tail - 1))
    return mean_need(alpha, deviation, (rmse + distance) ** 2 - rmse**2, largest**2 - rmse**2, power)


def r2_need(alpha: float, r2: float, distance: float, spread: float, largest: float, tail: float, power: float) -> int:
    """Rows at which R2 is shown to be above a floor so far below it; spread: the target's standard deviation.

    tail, largest: as in rmse_need, the tail also of the target.
    """
    _needs_distance(distance)
    target = spread**2
    error = (1 - r2) * target

    def passes(rows: int) -> bool:
        unlucky = error * (1 + _luck(power) * sqrt(max(0.0, tail - 1) / rows))
        errors, labels = (Sums(rows * each, rows * tail * each**2) for each in (unlucky, target))
        return regression.r2(rows, errors, labels, largest, alpha).low >= r2 - distance

    return _smallest(passes, 4)


def _luck(power: float) -> float:
    """By how many deviations a number is worse than the true one with probability 1 - power."""
    return NormalDist().inv_cdf(power)


def _needs_distance(distance: float) -> None:
    if not distance > 0:
        raise ValueError(f"a difference of {distance} is never found")


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
