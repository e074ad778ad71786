"""Kinds of metric: how its value, an interval, a comparison with the champion and a gap follow from its sums.

The evaluator writes for each metric how many rows it counts, and sums over them. A kind says what sums these are, which
of them no rows can have (so that nobody takes them for certainty), and which bound holds for them. A metric of a task
is one row of its table, with its kind and its range.

All differences are challenger's minus champion's, of the metric itself: a lower loss is a difference below 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal, NamedTuple

from lockgate.errors import EvidenceError
from lockgate.evidence.document import Metric
from lockgate.statistics import binomial, empirical_bernstein, paired, roc_auc
from lockgate.statistics import gaps as gap_bounds
from lockgate.statistics.interval import Guarantee, Interval

Better = Literal["higher", "lower", "neither"]
ROUNDING = 1e-9  # relative to what a row can be


class Scale(NamedTuple):
    """The smallest and the largest value that a number can have, and which of them is good.

    better: "neither" where the policy may want either, as of the share of rows that are predicted positive.
    """

    lowest: float
    highest: float
    better: Better


class Apart(NamedTuple):
    """How far two numbers are apart, and the interval of that."""

    value: float
    interval: Interval


SHARE = Scale(0.0, 1.0, "higher")


@dataclass(frozen=True)
class MetricKind(ABC):
    """A metric's range, and which rows it counts, in words; "" where every row counts.

    compared: whether it can be compared with the champion's on the same rows. rises: whether a difference of groups can
    also be a ratio.
    """

    scale: Scale = SHARE
    counts: str = ""
    compared: ClassVar[bool] = False
    ratio: ClassVar[bool] = False

    @abstractmethod
    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        """Each end is wrong with probability at most alpha. Raises EvidenceError for sums that no rows can have."""

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        """Of two models on the same rows, from sums over the rows of both. Raises EvidenceError."""
        raise EvidenceError(f"{name}: cannot be compared on the same rows")

    def gap(self, name: str, one: Metric, other: Metric, bound: str, alpha: float) -> Apart:
        """How far two groups are apart: the absolute difference for a ceiling, the lower over the higher for a floor.

        The end that lets a model pass is wrong with probability at most alpha; the other, which fails it, with at most
        2 alpha, since either group may be the higher one.
        """
        return _apart(one.value, other.value, [self.interval(name, each, alpha / 2) for each in (one, other)])

    def value(self, name: str, found: Metric) -> float:
        """A number that can be one of this metric: an area of 5 would lie above every floor."""
        lowest, highest, _ = self.scale
        slack = ROUNDING * max(abs(lowest), abs(highest))
        if not (lowest if lowest >= 0 else lowest - slack) <= found.value <= highest + slack:
            raise EvidenceError(f"{name}: found {found.value!r}, expected from {lowest:g} to {highest:g}")
        return found.value


@dataclass(frozen=True)
class Rate(MetricKind):
    """A share of the rows that count. Sums: `hits`, of the metric's rows.

    of_labels: whether labels alone say which rows count, so that they are the same for every model. Sums of a
    comparison: `only_challenger`, `only_champion`, on how many of the rows that count only one has a hit.
    """

    of_labels: bool = True
    ratio: ClassVar[bool] = True

    @property
    def compared(self) -> bool:  # type: ignore[override]
        return self.of_labels and self.scale.better != "neither"

    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        return binomial.interval(hits(name, found), found.rows, alpha)

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        wins, losses = discordant(name, sums, own, before)
        return Apart((wins - losses) / own.rows, paired.interval(wins, losses, own.rows, alpha))

    def gap(self, name: str, one: Metric, other: Metric, bound: str, alpha: float) -> Apart:
        counts = (hits(name, one), one.rows, hits(name, other), other.rows)
        if bound == "ceiling":
            found = gap_bounds.difference(*counts, alpha)
            low, high = max(0.0, found.low, -found.high), max(found.high, -found.low)
            apart = abs(counts[0] / counts[1] - counts[2] / counts[3])
            return Apart(apart, Interval(low, high, found.guarantee))
        # The lower over the higher, whichever that is: each way of dividing bounds it, the smaller one from below.
        first, second = gap_bounds.ratio(*counts, alpha), gap_bounds.ratio(*counts[2:], *counts[:2], alpha)
        rates = sorted((counts[0] / counts[1], counts[2] / counts[3]))
        ratio = rates[0] / rates[1] if rates[1] else 1.0  # nobody is chosen in either: they are treated alike
        low, high = min(first.low, second.low), min(1.0, first.high, second.high)
        return Apart(ratio, Interval(low, high, first.guarantee))


@dataclass(frozen=True)
class Mean(MetricKind):
    """A mean over the rows, of values between the ends of the scale. Sums: `sum` and `sum_of_squares`.

    Sums of a comparison: the same of the differences, row by row.
    """

    @property
    def compared(self) -> bool:  # type: ignore[override]
        return self.scale.better != "neither"

    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        total, squares = sum_of(name, found.statistics, "sum"), sum_of(name, found.statistics, "sum_of_squares")
        low, high, _ = self.scale
        bounds = mean(name, found.rows, total, squares, low, high, alpha)
        refuse_other_mean(name, found, total, max(-low, high))
        return bounds

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        total, squares = sum_of(name, sums, "sum"), sum_of(name, sums, "sum_of_squares")
        low, high, _ = self.scale
        width = high - low
        bounds = mean(name, own.rows, total, squares, -width, width, alpha)
        for each in (own, before):
            refuse_other_mean(name, each, sum_of(name, each.statistics, "sum"), max(-low, high))
        refuse_other_rows(name, own.value - before.value, own, before, total, width)
        return Apart(total / own.rows, bounds)


@dataclass(frozen=True)
class Area(MetricKind):
    """Area under the ROC curve. Sums: `positives`, `negatives`, and DeLong's `variance` where each has two rows.

    Sums of a comparison: DeLong's `variance_challenger`, `variance_champion` and `covariance`.
    """

    compared: ClassVar[bool] = True

    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        labels = self._labels(name, found)
        return roc_auc.interval(found.value, self._variance(name, found.statistics, *labels), *labels, alpha)

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        """Refuses a covariance that its variances do not allow (Cauchy-Schwarz): it would read as certainty."""
        variances = [sum_of(name, sums, key) for key in ("variance_challenger", "variance_champion")]
        both = sum_of(name, sums, "covariance")
        if min(variances) < 0 or abs(both) > sqrt(variances[0]) * sqrt(variances[1]) * (1 + ROUNDING):
            raise EvidenceError(
                f"{name}: found variances {variances[0]!r} and {variances[1]!r} with covariance {both!r}, which no "
                "rows can have"
            )
        labels = self._labels(name, own)
        bounds = roc_auc.difference(own.value, before.value, variances[0], variances[1], both, *labels, alpha)
        return Apart(own.value - before.value, bounds)

    def _labels(self, name: str, area: Metric) -> tuple[int, int]:
        """How many of its rows have label 1, and how many label 0; no rows, which say nothing, where it is not told."""
        if "positives" not in area.statistics:
            return 0, 0
        positives, negatives = (count_of(name, area.statistics, key, area.rows) for key in ("positives", "negatives"))
        if positives + negatives != area.rows:
            raise EvidenceError(
                f"{name}: found {positives} positives and {negatives} negatives of {area.rows} rows, expected each in "
                "one"
            )
        return positives, negatives

    def _variance(self, name: str, sums: Mapping[str, float], positives: int, negatives: int) -> float:
        """That of values from 0 to 1, one for each row of a class. A class of one row has none."""
        if min(positives, negatives) < 2:
            return 0.0
        variance, most = sum_of(name, sums, "variance"), 0.25 / (positives - 1) + 0.25 / (negatives - 1)
        if not 0.0 <= variance <= most * (1 + ROUNDING):
            raise EvidenceError(f"{name}: found a variance of {variance!r}, expected from 0 to {most:g}")
        return variance


def sum_of(name: str, sums: Mapping[str, float], key: str) -> float:
    if key not in sums:
        raise EvidenceError(f"{name}: statistics have no {key}, which its interval needs")
    return sums[key]


def count_of(name: str, sums: Mapping[str, float], key: str, most: int) -> int:
    found = sum_of(name, sums, key)
    if found != int(found) or not 0 <= found <= most:
        raise EvidenceError(f"{name}: {key}: found {found!r}, expected a count of at most {most}")
    return int(found)


def hits(name: str, found: Metric) -> int:
    """On how many of its rows a rate has a hit."""
    counted = count_of(name, found.statistics, "hits", found.rows)
    refuse_other_mean(name, found, counted, 1.0)
    return counted


def refuse_other_mean(name: str, found: Metric, total: float, largest: float) -> None:
    """The value is the mean of the very rows whose sum the bounds are made from."""
    mean = total / found.rows
    if abs(found.value - mean) > ROUNDING * largest:
        raise EvidenceError(f"{name}: found {found.value!r}, expected {mean!r}, the mean of its {found.rows} rows")


def refuse_other_rows(name: str, apart: float, own: Metric, before: Metric, total: float, largest: float) -> None:
    """Two means are as far apart as the sum of the differences of their rows says."""
    if abs(apart - total / own.rows) > 3 * ROUNDING * largest:
        raise EvidenceError(
            f"{name}: found {own.value!r} and {before.value!r}, whose rows differ by {total / own.rows!r} in the mean: "
            "not the same rows"
        )


def mean(name: str, rows: int, total: float, squares: float, low: float, high: float, alpha: float) -> Interval:
    """Bounds on a mean from sums that rows between low and high can have: others would read as certainty."""
    slack = ROUNDING * rows * max(-low, high)
    possible = rows * low - slack <= total <= rows * high + slack
    if not possible or not total * total <= squares * rows * (1 + ROUNDING) + slack * slack:
        raise EvidenceError(f"{name}: found sums {total!r} and {squares!r}, which {rows} rows cannot have")
    return empirical_bernstein.interval(rows, total, squares, low, high, alpha)


def discordant(name: str, sums: Mapping[str, float], own: Metric, before: Metric) -> tuple[int, int]:
    """On how many rows only the challenger has a hit, and only the champion: what the hits of each allow."""
    wins, losses = (count_of(name, sums, key, own.rows) for key in ("only_challenger", "only_champion"))
    right, right_before = hits(name, own), hits(name, before)
    if right - wins != right_before - losses or right < wins or right + losses > own.rows:
        raise EvidenceError(
            f"{name}: found {wins} and {losses} rows on which only one is right, which models that are right on "
            f"{right} and {right_before} of {own.rows} rows cannot have"
        )
    return wins, losses


def _apart(one: float, other: float, bounds: list[Interval]) -> Apart:
    """The absolute difference of two groups' numbers, each with its bounds at half of alpha (Bonferroni)."""
    low, high = bounds[0].low - bounds[1].high, bounds[0].high - bounds[1].low
    exact = all(bound.guarantee != "asymptotic" for bound in bounds)
    guarantee: Guarantee = "finite-sample" if exact else "asymptotic"
    return Apart(abs(one - other), Interval(max(0.0, low, -high), max(high, -low), guarantee))
