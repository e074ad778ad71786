"""How many rows each rule of a policy needs, before a holdout is drawn. Planning guesses; a decision never does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from lockgate.policy.rules import Compare, Gap, Limit, Require, Rule
from lockgate.statistics.plan import (
    Need,
    area_difference_need,
    area_need,
    balanced_difference_need,
    balanced_need,
    f1_need,
    mean_need,
    paired_need,
    r2_need,
    rate_need,
    rmse_need,
)
from lockgate.tasks.composed import BalancedAccuracy, Determination, MacroF1, RootMeanSquare
from lockgate.tasks.kinds import Area, Mean, MetricKind, Rate
from lockgate.tasks.target import Target
from lockgate.tasks.task import measures_of, metrics_of


@dataclass(frozen=True)
class Guess:
    """What no policy says about models.

    Of errors of numbers, difference and deviation are shares of a rule's bound, since they have the target's unit.

    difference: how far a model that must pass is on the right side of a limit.
    disagreement: share of rows on which challenger and champion are not both right or both wrong.
    rate: of a group.
    deviation: of a row's loss, or of the difference of two.
    power: how often a model like that must pass.
    """

    difference: float
    disagreement: float
    rate: float
    deviation: float
    power: float


@dataclass(frozen=True)
class Planned:
    """What a rule needs, and of which rows; `need` is None where no number of rows matters, `of` then says why."""

    rule: str
    need: Need | None
    of: str


def plan(rule: Rule, alpha: float, guess: Guess, target: Target) -> Planned:
    """Raises ValueError where no number of rows would do."""
    if isinstance(rule, Require):
        return Planned(rule.name, None, f"{rule.what} is known or not")
    kinds = metrics_of(target)
    if isinstance(rule, Limit):
        rows = _limit(rule, kinds[rule.metric], alpha, _in_its_unit(guess, rule.value, kinds[rule.metric], target))
        counted = kinds[rule.metric].counts
        of = f"rows of each {rule.by}" if rule.by else "rows of the holdout"
        return Planned(rule.name, Need(rows, rows), f"{of} that count ({counted})" if counted not in _ALL else of)
    if isinstance(rule, Compare):
        kind = kinds[rule.metric]
        need = _compare(rule, kind, alpha, _in_its_unit(guess, rule.gain, kind, target))
        return Planned(rule.name, need, "rows of the holdout")
    compared = [kinds[name] for name in measures_of(target)[rule.measure]]
    needs = (_gap(rule, kind, alpha, _in_its_unit(guess, 0.0, kind, target), len(compared)) for kind in compared)
    rows = max(rule.minimum_rows, *needs)
    return Planned(rule.name, Need(rows, rows), f"rows of each {rule.by} that the rate counts")


_AREA = 0.85  # of a challenger, where its area says how often both models rank a pair alike
# Of a regression: the target's deviation as a share of the declared range, and the kurtosis of target and errors.
_SPREAD, _TAIL = 0.2, 5.0
_ALL = ("", "a row", "rows of both labels")


def _limit(rule: Limit, kind: MetricKind, alpha: float, guess: Guess) -> int:
    if isinstance(kind, Rate):
        floor = rule.value if rule.bound == "floor" else 1 - rule.value  # a ceiling of a rate is a floor of the rest
        return rate_need(alpha, min(1.0, floor + guess.difference), floor, guess.power).rows
    if isinstance(kind, Area):
        area = min(1 - 1e-9, rule.value + (guess.difference if rule.bound == "floor" else -guess.difference))
        return area_need(alpha, area, abs(area - rule.value), guess.power)
    if isinstance(kind, BalancedAccuracy | MacroF1):
        true, distance = min(1.0, rule.value + guess.difference), guess.difference
        need = balanced_need if isinstance(kind, BalancedAccuracy) else f1_need
        return kind.classes * need(alpha, kind.classes, true, distance, guess.power)
    if isinstance(kind, RootMeanSquare):
        width = _width(kind)
        true = max(rule.value - guess.difference, rule.value / 2)
        return rmse_need(alpha, true, rule.value - true, width, _TAIL, guess.power)
    if isinstance(kind, Determination):
        true = min(1.0, rule.value + guess.difference)
        return r2_need(alpha, true, guess.difference, _SPREAD * kind.width, kind.width, _TAIL, guess.power)
    return mean_need(alpha, guess.deviation, guess.difference, _width(kind), guess.power)


def _in_its_unit(guess: Guess, bound: float, kind: MetricKind, target: Target) -> Guess:
    """What is guessed as a share, in the unit of the target: of the bound, or of a tenth of the range where it is 0."""
    if target.classes or isinstance(kind, Determination):
        return guess
    unit = abs(bound) or _width(kind) / 10
    return replace(guess, difference=guess.difference * unit, deviation=guess.deviation * unit)


def _width(kind: MetricKind) -> float:
    return kind.scale.highest - kind.scale.lowest


def _compare(rule: Compare, kind: MetricKind, alpha: float, guess: Guess) -> Need:
    """A challenger that is better by the rule's gain and the difference beyond it."""
    if isinstance(kind, Rate):
        return paired_need(alpha, guess.disagreement, rule.gain + guess.difference, rule.gain, guess.power)
    if isinstance(kind, BalancedAccuracy):
        better = rule.gain + guess.difference
        return balanced_difference_need(alpha, kind.classes, guess.disagreement, better, rule.gain, guess.power)
    if isinstance(kind, Area):
        rows = area_difference_need(alpha, _AREA, guess.deviation, guess.difference, guess.power)
    elif isinstance(kind, Determination):  # of the squared errors, in units of the target's variance
        rows = mean_need(alpha, guess.deviation, guess.difference, _SPREAD**-2, guess.power)
    else:
        rows = mean_need(alpha, guess.deviation, guess.difference, _width(kind), guess.power)
    return Need(rows, rows)


def _gap(rule: Gap, kind: MetricKind, alpha: float, guess: Guess, metrics: int) -> int:
    """For two groups that are treated alike: each one's bound may take half of the room, at half of alpha."""
    power = sqrt(guess.power)
    if isinstance(kind, Mean):
        return mean_need(alpha / 2, guess.deviation, rule.value / 2, _width(kind), power)
    share = rule.value / 2 if rule.bound == "ceiling" else guess.rate * (1 - rule.value) / (1 + rule.value)
    return rate_need(alpha / (2 * metrics), guess.rate, max(0.0, guess.rate - share), power).rows
