"""Kinds of metric that are made of more than one mean: of classes, and of squared errors (lockgate.tasks.kinds)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import ClassVar

from lockgate.errors import EvidenceError
from lockgate.evidence.document import Metric
from lockgate.statistics import per_class, regression
from lockgate.statistics.interval import Interval
from lockgate.tasks.kinds import ROUNDING, Apart, MetricKind, count_of, refuse_other_rows, sum_of


@dataclass(frozen=True)
class BalancedAccuracy(MetricKind):
    """The mean over classes of their recalls. Sums, for the class at each place: `hits_0`, `rows_0` and so on.

    Sums of a comparison: `only_challenger_0`, `only_champion_0`.
    """

    classes: int = 2
    compared: ClassVar[bool] = True

    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        return per_class.balanced_accuracy(*self._recalls(name, found), alpha)

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        hits, rows = self._recalls(name, own)
        hits_before, rows_before = self._recalls(name, before)
        wins = self._counts(name, sums, "only_challenger", own.rows)
        losses = self._counts(name, sums, "only_champion", own.rows)
        for place, count in enumerate(rows):
            apart = hits[place] - hits_before[place]
            possible = wins[place] <= hits[place] and hits[place] + losses[place] <= count
            if count != rows_before[place] or wins[place] - losses[place] != apart or not possible:
                raise EvidenceError(
                    f"{name}: class {place}: found {wins[place]} and {losses[place]} rows on which only one is right, "
                    f"which models that are right on {hits[place]} and {hits_before[place]} of {count} rows cannot have"
                )
        return Apart(own.value - before.value, per_class.balanced_difference(wins, losses, rows, alpha))

    def _recalls(self, name: str, found: Metric) -> tuple[list[int], list[int]]:
        hits, rows = (self._counts(name, found.statistics, key, found.rows) for key in ("hits", "rows"))
        if sum(rows) != found.rows or not all(rows) or any(hit > row for hit, row in zip(hits, rows, strict=True)):
            raise EvidenceError(f"{name}: found {hits} of {rows} rows right, expected all {found.rows} rows by class")
        mean = sum(hit / row for hit, row in zip(hits, rows, strict=True)) / self.classes
        if abs(mean - found.value) > ROUNDING:
            raise EvidenceError(f"{name}: found {found.value!r}, expected {mean!r}, the mean of its recalls")
        return hits, rows

    def _counts(self, name: str, sums: Mapping[str, float], key: str, most: int) -> list[int]:
        return [count_of(name, sums, f"{key}_{place}", most) for place in range(self.classes)]


@dataclass(frozen=True)
class MacroF1(MetricKind):
    """The mean over classes of F1. Sums, for each place: `true_positives_0`, and `denominator_0`, TP + FP + FN.

    Sum of a comparison: `squares`, of the differences of the rows' influences (lockgate.statistics.per_class).
    """

    classes: int = 2
    compared: ClassVar[bool] = True

    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        return per_class.macro_f1(self._counted(name, found), alpha)

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        squares = sum_of(name, sums, "squares")
        if squares < 0:
            raise EvidenceError(f"{name}: found squares that sum to {squares!r}, expected 0 or more")
        counts = self._counted(name, own), self._counted(name, before)
        return Apart(own.value - before.value, per_class.f1_difference(*counts, squares, own.rows, alpha))

    def _counted(self, name: str, found: Metric) -> per_class.Counts:
        hits, denominators = (
            [count_of(name, found.statistics, f"{key}_{place}", found.rows) for place in range(self.classes)]
            for key in ("true_positives", "denominator")
        )
        counts = per_class.Counts(hits, denominators)
        wrong = sum(denominators) - sum(hits)  # a row on which the model is wrong is in two classes
        possible = all(hit <= count for hit, count in zip(*counts, strict=True))
        if not possible or sum(hits) + wrong / 2 != found.rows:
            raise EvidenceError(f"{name}: found {hits} of {denominators}, which {found.rows} rows cannot have")
        if abs(per_class.f1_value(counts) - found.value) > ROUNDING:
            raise EvidenceError(f"{name}: found {found.value!r}, expected {per_class.f1_value(counts)!r} by its counts")
        return counts


@dataclass(frozen=True)
class RootMeanSquare(MetricKind):
    """RMSE. Sums: `sum` and `sum_of_squares`, of the squared errors; of a comparison, of their differences."""

    compared: ClassVar[bool] = True

    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        return regression.rmse(found.rows, squared_errors(name, found, self.scale.highest), self.scale.highest, alpha)

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        largest = self.scale.highest
        one, other = (squared_errors(name, each, largest) for each in (own, before))
        apart = _sums(name, sums)
        refuse_other_rows(name, (one.total - other.total) / own.rows, own, before, apart.total, largest**2)
        bounds = regression.rmse_difference(own.rows, apart, one, other, largest, alpha)
        return Apart(own.value - before.value, bounds)


@dataclass(frozen=True)
class Determination(MetricKind):
    """R2. Sums: of the squared errors as RMSE's; `target_squares` and `target_fourths`, of the target's distances from
    its mean, squared and to the fourth. Of a comparison: as RMSE's.

    width: of the declared range.
    """

    width: float = 1.0
    compared: ClassVar[bool] = True

    def value(self, name: str, found: Metric) -> float:
        if found.value > 1 + ROUNDING:
            raise EvidenceError(f"{name}: found {found.value!r}, expected at most 1")
        return found.value

    def interval(self, name: str, found: Metric, alpha: float) -> Interval:
        return regression.r2(found.rows, *self._checked(name, found), self.width, alpha)

    def difference(self, name: str, own: Metric, before: Metric, sums: Mapping[str, float], alpha: float) -> Apart:
        (one, target), (other, target_before) = self._checked(name, own), self._checked(name, before)
        if abs(target.total - target_before.total) > ROUNDING * own.rows * self.width**2:
            raise EvidenceError(
                f"{name}: found targets of {target.total!r} and {target_before.total!r}: not the same rows"
            )
        apart = _sums(name, sums)
        refuse_other_rows(name, (one.total - other.total) / own.rows, own, before, apart.total, self.width**2)
        return Apart(own.value - before.value, regression.r2_difference(own.rows, apart, target, self.width, alpha))

    def _checked(self, name: str, found: Metric) -> tuple[regression.Sums, regression.Sums]:
        errors = _possible(name, found.rows, _sums(name, found.statistics), self.width)
        target = regression.Sums(*(sum_of(name, found.statistics, key) for key in ("target_squares", "target_fourths")))
        _possible(name, found.rows, target, self.width)
        expected = 1 - errors.total / target.total if target.total > 0 else -inf
        if abs(found.value - expected) > ROUNDING * max(1.0, abs(expected)):
            raise EvidenceError(f"{name}: found {found.value!r}, expected {expected!r} by its sums")
        return errors, target


def squared_errors(name: str, found: Metric, largest: float) -> regression.Sums:
    """The sums of an RMSE, which is the root of their mean."""
    sums = _possible(name, found.rows, _sums(name, found.statistics), largest)
    root = sqrt(sums.total / found.rows)
    if abs(found.value - root) > ROUNDING * largest:
        raise EvidenceError(f"{name}: found {found.value!r}, expected {root!r}, the root of the mean of its rows")
    return sums


def _sums(name: str, sums: Mapping[str, float]) -> regression.Sums:
    return regression.Sums(sum_of(name, sums, "sum"), sum_of(name, sums, "sum_of_squares"))


def _possible(name: str, rows: int, sums: regression.Sums, largest: float) -> regression.Sums:
    """Refuses sums of squares that rows with errors of at most `largest` cannot have: they would read as certainty."""
    slack = ROUNDING * rows * largest**2
    fits = -slack <= sums.total <= rows * largest**2 + slack
    if not fits or sums.total**2 > sums.squares * rows * (1 + ROUNDING) + slack**2:
        raise EvidenceError(f"{name}: found sums {sums.total!r} and {sums.squares!r}, which {rows} rows cannot have")
    return sums
