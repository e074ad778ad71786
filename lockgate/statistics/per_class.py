"""Bounds on means over classes: balanced accuracy, its difference on the same rows, macro F1.

Given how many rows each class has, rows of a class are independent, and classes are independent of each other. So a
bettor may bet in all classes at once. For values of -1, 0 or 1 with a mean of d in a class, the capital
prod((1 + t x) / (1 + t d)) over its rows has expectation 1, whatever share t of -1 to 1 is bet there (Waudby-Smith and
Ramdas, JRSS B 86(1), 2024), and so has the product over classes. A mean over K classes is refuted when the capital
reaches 1 / alpha against every vector of d with that mean. With t proportional to 1 / (rows of the class), no vector is
much harder to refute than another.

A sum of K exact bounds at alpha / K, which are also computed, is as wide as all K deviations together. This bound is
about as wide as the root of the sum of their squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log1p, sqrt
from typing import NamedTuple

from lockgate.statistics import binomial, normal
from lockgate.statistics.interval import Interval

# Shares suit variances of a row from 0.5 down to 0.008 at an alpha of a few percent, or larger ones at a smaller alpha.
# They do not depend on alpha, so that a smaller one is never tighter. A Kth of alpha is for the exact bounds of the
# classes, which are the better ones of two classes. Each share has the same part of the rest.
_SCALES = (4.0, 8.0, 16.0, 32.0)
_MOST = 0.9


def balanced_accuracy(hits: Sequence[int], rows: Sequence[int], alpha: float) -> Interval:
    """The mean over classes of the share of a class's rows that are predicted as that class.

    A class without rows may have any recall.
    """
    misses = [_within(count - hit, count) for hit, count in zip(hits, rows, strict=True)]
    none, zero, one = [0] * len(misses), [0.0] * len(misses), [1.0] * len(misses)
    of_class = alpha / len(misses) ** 2
    lowest = [binomial.lower_bound(hit, count, of_class) - 1 for hit, count in zip(hits, rows, strict=True)]
    fewest = [binomial.lower_bound(miss, count, of_class) for miss, count in zip(misses, rows, strict=True)]
    low = 1 + _lower_bound(none, misses, rows, lowest, zero, alpha)
    high = 1 - _lower_bound(misses, none, rows, fewest, one, alpha)
    return Interval(max(0.0, low), min(1.0, high), "finite-sample")


def balanced_difference(wins: Sequence[int], losses: Sequence[int], rows: Sequence[int], alpha: float) -> Interval:
    """Challenger's balanced accuracy minus champion's, on the same rows.

    wins: for each class, its rows that only the challenger has right. losses: those that only the champion has right.
    """
    low = _difference_lower_bound(wins, losses, rows, alpha)
    return Interval(low, -_difference_lower_bound(losses, wins, rows, alpha), "finite-sample")


class Counts(NamedTuple):
    """What macro F1 is made of: for each class TP, and TP + FP + FN."""

    true_positives: Sequence[int]
    denominators: Sequence[int]


def f1_value(counts: Counts) -> float:
    """The mean over classes of F1 = 2 TP / (2 TP + FP + FN); 0 for a class that is neither a label nor predicted."""
    scores = [2 * hits / (hits + count) if count else 0.0 for hits, count in zip(*counts, strict=True)]
    return sum(scores) / len(scores)


def macro_f1(counts: Counts, alpha: float) -> Interval:
    """The mean over classes of F1.

    J = TP / (TP + FP + FN) is binomial given its denominator, so it has an exact bound, and F1 = 2 J / (1 + J) rises
    with it. A row is counted in two denominators where the model is wrong, so classes are not independent: each bound
    is at alpha / K (Bonferroni). A class with a denominator of 0 may have any F1.
    """
    each = [
        binomial.interval(hits, count, alpha / len(counts.denominators)) for hits, count in zip(*counts, strict=True)
    ]
    low, high = (
        sum(2 * share / (1 + share) for share in shares) / len(each)
        for shares in ([found.low for found in each], [found.high for found in each])
    )
    return Interval(low, high, "finite-sample")


def f1_difference(challenger: Counts, champion: Counts, squares: float, rows: int, alpha: float) -> Interval:
    """Challenger's macro F1 minus champion's, on the same rows: asymptotic, or finite-sample where that is not checked.

    squares: the sum over rows of (i - i')^2, where i is the challenger's influence of a row and i' the champion's. With
    F the F1 of a class and D its 2 TP + FP + FN, the influence of a row with label y and prediction p is

        i = rows / K * (2 [y = p] / D_y - F_y / D_y - F_p / D_p)

    without the terms of a class whose D is 0. It sums to 0 over all rows, and what a row more or less changes is its
    influence / rows (Hampel, JASA 69(346), 1974).

    The bound is that of a mean of influences, where such a bound was checked (lockgate.statistics.normal). Below, and
    with squares of 0, which say nothing about the next rows, both models' own bounds at half of alpha each bound the
    difference.
    """
    if alpha < normal.SMALLEST_LEVEL or not squares > 0.0:
        one, other = macro_f1(challenger, alpha / 2), macro_f1(champion, alpha / 2)
        return Interval(one.low - other.high, one.high - other.low, "finite-sample")
    value, largest = f1_value(challenger) - f1_value(champion), _largest_influence(challenger, champion, rows)
    return normal.difference(value, rows, squares, largest, alpha)


def _largest_influence(challenger: Counts, champion: Counts, rows: int) -> float:
    """The largest difference of the influences of a row, in either direction, over labels and predictions of both."""
    one, other = _influences(challenger, rows), _influences(champion, rows)
    return max(max(max(mine) - min(theirs), max(theirs) - min(mine)) for mine, theirs in zip(one, other, strict=True))


def _influences(counts: Counts, rows: int) -> list[tuple[float, float, float]]:
    """For each label, the influence of a row that is right, and the least and the most one of a row that is wrong."""
    doubled = [hits + count for hits, count in zip(*counts, strict=True)]
    each = [rows / len(doubled) / both if both else 0.0 for both in doubled]
    lost = [
        2 * hits * (weight / both) if both else 0.0 for hits, weight, both in zip(counts[0], each, doubled, strict=True)
    ]
    found = []
    for label, weight in enumerate(each):
        others = lost[:label] + lost[label + 1 :]
        found.append((2 * (weight - lost[label]), -lost[label] - max(others), -lost[label] - min(others)))
    return found


def _difference_lower_bound(wins: Sequence[int], losses: Sequence[int], rows: Sequence[int], alpha: float) -> float:
    for win, loss, count in zip(wins, losses, rows, strict=True):
        _within(win + loss, count)
    of_class = alpha / len(rows) ** 2
    lowest = [-binomial.upper_bound(loss, count, of_class) for loss, count in zip(losses, rows, strict=True)]
    return max(-1.0, _lower_bound(wins, losses, rows, lowest, [1.0] * len(rows), alpha))


def _lower_bound(
    wins: Sequence[int],
    losses: Sequence[int],
    rows: Sequence[int],
    lowest: Sequence[float],
    highest: Sequence[float],
    alpha: float,
) -> float:
    """Of the mean over classes of the mean of a class's values: wins are 1, losses are -1, other rows are 0.

    lowest: with probability 1 - alpha / K no class's mean is below its own. highest: what no class's mean is above.
    """
    classes = len(rows)
    if classes < 2:
        raise ValueError(f"{classes} classes: expected 2 at least")
    needed = log(len(_SCALES) * classes / ((classes - 1) * alpha))
    spread = sum(1 / count for count in rows if count)
    found = sum(lowest) / classes
    for scale in _SCALES if spread else ():
        shares = [min(_MOST, scale / sqrt(spread) / count) if count else 0.0 for count in rows]
        gained = sum(
            win * log1p(share) + loss * log1p(-share) for win, loss, share in zip(wins, losses, shares, strict=True)
        )
        found = max(found, _refuted(gained - needed, shares, rows, lowest, highest))
    return found


def _refuted(
    spare: float,
    shares: Sequence[float],
    rows: Sequence[int],
    lowest: Sequence[float],
    highest: Sequence[float],
) -> float:
    """The largest mean against which the capital is enough: sum(rows log(1 + share d)) <= spare for all d within the
    bounds that have this mean.

    The sum is concave in d, so the hardest vector of a mean has the same slope in each class that is not at a bound:
    d = rows * level - 1 / share. Bisection over the level.
    """

    def hardest(level: float) -> list[float]:
        return [
            min(most, max(least, count * level - 1 / share)) if count else least
            for count, share, least, most in zip(rows, shares, lowest, highest, strict=True)
        ]

    def costs(means: list[float]) -> float:
        return sum(count * log1p(share * mean) for count, share, mean in zip(rows, shares, means, strict=True))

    used = [(count, share) for count, share in zip(rows, shares, strict=True) if count]
    low = min((1 / share - 1) / count for count, share in used)
    high = max((1 / share + 1) / count for count, share in used)
    if costs(hardest(high)) <= spare:
        return sum(hardest(high)) / len(rows)
    for _ in range(60):
        middle = (low + high) / 2
        if costs(hardest(middle)) <= spare:
            low = middle
        else:
            high = middle
    means = hardest(low)
    return sum(means) / len(rows) if costs(means) <= spare else -1.0


def _within(count: int, rows: int) -> int:
    if not 0 <= count <= rows:
        raise ValueError(f"{count} of the {rows} rows of a class: expected them within the rows")
    return count
