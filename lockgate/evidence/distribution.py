"""Are the predictions that a service answers distributed as those that evaluation measured?

Both are counts of predictions in the same bins. The distance is Kolmogorov's: the largest difference between the
cumulative shares, from 0 (alike) to 1. A model whose input broke on the way to it, or another model than was judged,
moves it; so does a population that changed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lockgate.errors import EvidenceError

# Of one look at predictions that are distributed as evaluated. A look a minute is one false alarm in two years, a task.
FALSE_ALARM_RATE = 1e-6


@dataclass(frozen=True)
class Bins:
    """In which predictions are counted: each belongs to the first bin whose bound it does not exceed, or to the last.

    bounds: upper ends, rising. classes: how many probabilities a prediction has; 1 of a number. Of several, the bins
    are those of the largest, once for each class that can have it. Their order is the declared one: Massart's bound
    below holds for any order that was fixed before.
    """

    bounds: tuple[float, ...]
    classes: int = 1

    @property
    def size(self) -> int:
        return self.classes * (len(self.bounds) + 1)

    def place(self, prediction: float | Sequence[float]) -> int:
        """The bin of one prediction."""
        if isinstance(prediction, Sequence):
            largest = max(prediction)
            return prediction.index(largest) * (len(self.bounds) + 1) + bisect_left(self.bounds, largest)
        return bisect_left(self.bounds, prediction)


MOST_BOUNDS = 20
PROBABILITIES = Bins(tuple(place / 20 for place in range(1, 21)))


def read_bins(bounds: object, classes: int) -> Bins:
    """Raises EvidenceError for what are no bounds."""
    numbers = bounds if isinstance(bounds, list) and len(bounds) <= MOST_BOUNDS else []
    finite = all(isinstance(each, float) and math.isfinite(each) for each in numbers)
    if not numbers or not finite or any(low >= high for low, high in pairwise(numbers)):
        raise EvidenceError(f"bounds: found {str(bounds)[:200]}, expected 1 to {MOST_BOUNDS} rising numbers")
    return Bins(tuple(map(float, numbers)), classes)


def distance(expected: Sequence[float], found: Sequence[float]) -> float:
    """Of two lists of counts, each of at least one row."""
    rows_expected, rows_found = sum(expected), sum(found)
    below_expected: float = 0
    below_found: float = 0  # of whole counts the sums stay whole
    largest = 0.0
    for one, other in zip(expected, found, strict=True):
        below_expected += one
        below_found += other
        largest = max(largest, abs(below_expected / rows_expected - below_found / rows_found))
    return largest


def certain_distance(expected: Sequence[float], found: Sequence[float], rate: float = FALSE_ALARM_RATE) -> float:
    """How far apart the distributions are at least, whatever chance did to the rows of `found`; 0 without rows.

    P(distance of n independent rows from their own distribution > e) <= 2 exp(-2 n e^2), for every distribution
    (Massart, Annals of Probability 18(3), 1990), so the true distance is at least the found one less e, but for one
    look in 1 / rate. `expected` counts as exact: it is what the release was judged on.
    """
    rows = sum(found)
    if not rows:
        return 0.0
    return max(0.0, distance(expected, found) - math.sqrt(math.log(2 / rate) / (2 * rows)))
