"""From the counts and sums of evidence to a number, its interval and its rows: what a rule decides on.

What was not measured is `Unmeasured`, with why: no number stands in for it, so no rule can take one for a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import sqrt
from typing import NamedTuple

from lockgate.errors import EvidenceError
from lockgate.evidence.document import Champion, Evidence, Group, Metric
from lockgate.evidence.scales import METRICS, RATES
from lockgate.statistics import binomial, empirical_bernstein, paired, roc_auc
from lockgate.statistics import gaps as gap_bounds
from lockgate.statistics.interval import Interval

LARGEST = {name: METRICS[name].highest for name in ("log_loss", "brier")}  # of one row: a mean loss is their mean
_ROUNDING = 1e-9


class Measured(NamedTuple):
    """A number on `rows` rows; each end of its interval is wrong with probability at most `alpha`."""

    value: float
    interval: Interval
    rows: int
    alpha: float


class Unmeasured(NamedTuple):
    """Why a number does not exist for `rows` rows: none of them counts for it, or its evaluator left it out."""

    why: str
    rows: int


class GroupGap(NamedTuple):
    """How far a rate of two groups is apart: a difference, or the ratio of the lower to the higher."""

    rate: str
    one: str
    other: str
    measured: Measured | Unmeasured


def groups_of(evidence: Evidence, attribute: str) -> Mapping[str, Group]:
    """Raises EvidenceError for an attribute that the evidence has no groups of."""
    if attribute not in evidence.groups:
        known = ", ".join(sorted(evidence.groups)) or "none"
        raise EvidenceError(f"{attribute}: no groups of it in the evidence (it has: {known})")
    return evidence.groups[attribute]


def measured(metric: str, evidence: Evidence, alpha: float, group: Group | None = None) -> Measured | Unmeasured:
    """A metric or a rate of the whole holdout, or of a group.

    Raises EvidenceError where the evidence lacks what every holdout has: a metric of all rows, or rows at all.
    """
    if metric in RATES:
        counted = group or _whole(evidence)
        successes, rows = rate(metric, counted)
        if not rows:
            return _uncounted(metric, counted)
        return Measured(successes / rows, binomial.interval(successes, rows, alpha), rows, alpha)
    found = (group.metrics if group else evidence.metrics).get(metric)
    if found is None and group is None and metric in evidence.unreadable:
        raise EvidenceError(f"{metric}: {evidence.unreadable[metric]}")
    if found is None and group is not None:
        labels = {group.true_positives + group.false_negatives, group.false_positives + group.true_negatives}
        if metric == "roc_auc" and 0 in labels:
            return Unmeasured(f"its {group.rows} rows have one label only, so there is nothing to rank", group.rows)
        return Unmeasured("its evaluator did not measure it for this group; deliver the commit again", group.rows)
    if found is None:
        known = ", ".join(sorted(evidence.metrics)) or "none"
        raise EvidenceError(f"{metric}: not in the evidence (it has: {known})")
    if not found.rows:
        raise EvidenceError(f"{metric}: measured on 0 rows")
    return Measured(_value(metric, found), _interval(metric, found, alpha), found.rows, alpha)


# Which rows a rate is a share of, in words.
COUNTED = {
    "positive_rate": "a row",
    "true_positive_rate": "a row with label 1",
    "false_positive_rate": "a row with label 0",
    "precision": "a row predicted as 1",
}


def _uncounted(name: str, group: Group) -> Unmeasured:
    return Unmeasured(f"found none of {group.rows} rows that counts, expected {COUNTED[name]}", group.rows)


def _value(metric: str, found: Metric) -> float:
    """A number that can be one of this metric: an area of 5 would lie above every floor."""
    lowest, highest, _ = METRICS[metric]
    if not lowest <= found.value <= highest * (1 + _ROUNDING):
        raise EvidenceError(f"{metric}: found {found.value!r}, expected from {lowest:g} to {highest:g}")
    return found.value


def _interval(metric: str, found: Metric, alpha: float) -> Interval:
    sums = found.statistics
    if metric == "roc_auc":
        labels = _labels(found)
        return roc_auc.interval(found.value, _variance(sums, *labels), *labels, alpha)
    if metric == "accuracy":
        return binomial.interval(_correct(found), found.rows, alpha)
    total, squares = _sums(metric, sums)
    interval = _mean(metric, found.rows, total, squares, 0.0, LARGEST[metric], alpha)
    _refuse_other_mean(metric, found, total)
    return interval


def _labels(area: Metric) -> tuple[int, int]:
    """How many of its rows have label 1, and how many label 0; no rows, which say nothing, where it is not told."""
    if "positives" not in area.statistics:
        return 0, 0
    positives, negatives = (_count("roc_auc", area.statistics, key, area.rows) for key in ("positives", "negatives"))
    if positives + negatives != area.rows:
        raise EvidenceError(
            f"roc_auc: found {positives} positives and {negatives} negatives of {area.rows} rows, expected each in one"
        )
    return positives, negatives


def _variance(sums: Mapping[str, float], positives: int, negatives: int) -> float:
    """Of an area: that of values from 0 to 1, one for each row of a class. A class of one row has none."""
    if min(positives, negatives) < 2:
        return 0.0
    variance, most = _sum("roc_auc", sums, "variance"), 0.25 / (positives - 1) + 0.25 / (negatives - 1)
    if not 0.0 <= variance <= most * (1 + _ROUNDING):
        raise EvidenceError(f"roc_auc: found a variance of {variance!r}, expected from 0 to {most:g}")
    return variance


def _correct(accuracy: Metric) -> int:
    """On how many of its rows a model is right."""
    correct = _count("accuracy", accuracy.statistics, "correct", accuracy.rows)
    _refuse_other_mean("accuracy", accuracy, correct)
    return correct


def _refuse_other_mean(metric: str, found: Metric, total: float) -> None:
    """The value is the mean of the very rows whose sum the bounds are made from."""
    mean = total / found.rows
    if abs(found.value - mean) > _ROUNDING * LARGEST.get(metric, 1.0):
        raise EvidenceError(f"{metric}: found {found.value!r}, expected {mean!r}, the mean of its {found.rows} rows")


def _sums(metric: str, sums: Mapping[str, float]) -> tuple[float, float]:
    return _sum(metric, sums, "sum"), _sum(metric, sums, "sum_of_squares")


def _mean(name: str, rows: int, total: float, squares: float, low: float, high: float, alpha: float) -> Interval:
    """Bounds on a mean from sums that rows between low and high can have: others would read as certainty."""
    slack = _ROUNDING * rows * max(-low, high)
    possible = rows * low - slack <= total <= rows * high + slack
    if not possible or not total * total <= squares * rows * (1 + _ROUNDING) + slack * slack:
        raise EvidenceError(f"{name}: found sums {total!r} and {squares!r}, which {rows} rows cannot have")
    return empirical_bernstein.interval(rows, total, squares, low, high, alpha)


def compared(metric: str, evidence: Evidence, champion: Champion, alpha: float) -> Measured:
    """By how much the challenger is better than the champion on the same rows: positive is better, of losses too."""
    own, before, sums = evidence.metrics.get(metric), champion.metrics.get(metric), champion.paired.get(metric)
    if own is None or before is None or sums is None:
        raise EvidenceError(f"{metric}: the evidence does not compare it with the champion's")
    if own.rows != before.rows:
        raise EvidenceError(f"{metric}: measured on {own.rows} rows, the champion's on {before.rows}: not the same")
    if not own.rows:
        raise EvidenceError(f"{metric}: compared on 0 rows")
    value, value_before = _value(metric, own), _value(metric, before)
    if metric == "roc_auc":
        difference = roc_auc.difference(value, value_before, *_covariance(sums), *_labels(own), alpha)
        return Measured(value - value_before, difference, own.rows, alpha)
    if metric == "accuracy":
        wins, losses = _discordant(sums, own, before)
        return Measured((wins - losses) / own.rows, paired.interval(wins, losses, own.rows, alpha), own.rows, alpha)
    (total, squares), largest = _sums(metric, sums), LARGEST[metric]
    loss = _mean(metric, own.rows, total, squares, -largest, largest, alpha)
    for each in (own, before):
        _refuse_other_mean(metric, each, _sum(metric, each.statistics, "sum"))
    if abs(value - value_before - total / own.rows) > 3 * _ROUNDING * largest:
        raise EvidenceError(
            f"{metric}: found {value!r} and {value_before!r}, whose rows differ by {total / own.rows!r} in the mean: "
            "not the same rows"
        )
    return Measured(-total / own.rows, Interval(-loss.high, -loss.low, loss.guarantee), own.rows, alpha)


def _covariance(sums: Mapping[str, float]) -> tuple[float, float, float]:
    """Two variances and a covariance that both allow (Cauchy-Schwarz): a larger one would read as certainty."""
    own, before, both = (
        _sum("roc_auc", sums, key) for key in ("variance_challenger", "variance_champion", "covariance")
    )
    if min(own, before) < 0 or abs(both) > sqrt(own) * sqrt(before) * (1 + _ROUNDING):
        raise EvidenceError(
            f"roc_auc: found variances {own!r} and {before!r} with covariance {both!r}, which no rows can have"
        )
    return own, before, both


def _discordant(sums: Mapping[str, float], own: Metric, before: Metric) -> tuple[int, int]:
    """On how many rows only the challenger is right, and only the champion: what the rows that each has right allow."""
    wins, losses = (_count("accuracy", sums, key, own.rows) for key in ("only_challenger", "only_champion"))
    right, right_before = _correct(own), _correct(before)
    if right - wins != right_before - losses or right < wins or right + losses > own.rows:
        raise EvidenceError(
            f"accuracy: found {wins} and {losses} rows on which only one is right, which models that are right on "
            f"{right} and {right_before} of {own.rows} rows cannot have"
        )
    return wins, losses


def gaps(measure: str, bound: str, groups: Mapping[str, Group], alpha: float) -> Iterator[GroupGap]:
    """Every pair of groups: differences for a ceiling, ratios of the lower to the higher for a floor.

    The end that lets a model pass is wrong with probability at most alpha; the other, which fails it, with at most
    2 alpha, since either group may be the higher one.
    """
    for one, other in combinations(groups, 2):
        if measure == "calibration":
            yield GroupGap("calibration", one, other, _calibration(groups[one], groups[other], alpha))
            continue
        for name in RATES_OF[measure]:
            yield GroupGap(name, one, other, _apart(name, bound, one, groups[one], other, groups[other], alpha))


# Hardt, Price, Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016, and what it compares with.
RATES_OF = {
    "demographic_parity": ("positive_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalised_odds": ("true_positive_rate", "false_positive_rate"),
}


def rate(name: str, group: Group) -> tuple[int, int]:
    """A rate as successes of rows."""
    predicted = group.true_positives + group.false_positives
    return {
        "positive_rate": (predicted, group.rows),
        "true_positive_rate": (group.true_positives, group.true_positives + group.false_negatives),
        "false_positive_rate": (group.false_positives, group.false_positives + group.true_negatives),
        "precision": (group.true_positives, predicted),
    }[name]


def _apart(
    name: str, bound: str, one: str, group: Group, other: str, other_group: Group, alpha: float
) -> Measured | Unmeasured:
    for value, each in ((one, group), (other, other_group)):
        if not rate(name, each)[1]:
            missing = _uncounted(name, each)
            return Unmeasured(f"{value}: {missing.why}", missing.rows)
    counts = (*rate(name, group), *rate(name, other_group))
    return (_difference if bound == "ceiling" else _ratio)(*counts, alpha)


def _difference(successes: int, rows: int, other_successes: int, other_rows: int, alpha: float) -> Measured:
    """The absolute difference: whichever group is higher."""
    found = gap_bounds.difference(successes, rows, other_successes, other_rows, alpha)
    low = max(0.0, found.low, -found.high)
    value = abs(successes / rows - other_successes / other_rows)
    return Measured(value, Interval(low, max(found.high, -found.low), found.guarantee), rows + other_rows, alpha)


def _ratio(successes: int, rows: int, other_successes: int, other_rows: int, alpha: float) -> Measured:
    """The lower over the higher, whichever that is: each way of dividing bounds it, the smaller one from below."""
    one = gap_bounds.ratio(successes, rows, other_successes, other_rows, alpha)
    two = gap_bounds.ratio(other_successes, other_rows, successes, rows, alpha)
    rates = sorted((successes / rows, other_successes / other_rows))
    value = rates[0] / rates[1] if rates[1] else 1.0  # nobody is chosen in either: they are treated alike
    interval = Interval(min(one.low, two.low), min(1.0, one.high, two.high), one.guarantee)
    return Measured(value, interval, rows + other_rows, alpha)


def _calibration(one: Group, other: Group, alpha: float) -> Measured | Unmeasured:
    """How far the mean of score - label of two groups is apart; each mean's bounds at half of alpha (Bonferroni)."""
    if not one.rows or not other.rows:
        return Unmeasured("found a group without rows, expected one at least in each", min(one.rows, other.rows))
    bounds = [
        _mean("calibration", group.rows, group.residual, group.residual_squares, -1.0, 1.0, alpha / 2)
        for group in (one, other)
    ]
    means = [group.residual / group.rows for group in (one, other)]
    low, high = bounds[0].low - bounds[1].high, bounds[0].high - bounds[1].low
    interval = Interval(max(0.0, low, -high), max(high, -low), "finite-sample")
    return Measured(abs(means[0] - means[1]), interval, one.rows + other.rows, alpha)


def _whole(evidence: Evidence) -> Group:
    """The whole holdout, as the sum of the groups of an attribute: every row is in one."""
    for groups in evidence.groups.values():
        parts = list(groups.values())
        return Group(
            true_positives=sum(group.true_positives for group in parts),
            false_positives=sum(group.false_positives for group in parts),
            false_negatives=sum(group.false_negatives for group in parts),
            true_negatives=sum(group.true_negatives for group in parts),
            residual=sum(group.residual for group in parts),
            residual_squares=sum(group.residual_squares for group in parts),
        )
    raise EvidenceError("rates: found no groups in the evidence, expected those of a protected attribute")


def _sum(metric: str, sums: Mapping[str, float], key: str) -> float:
    if key not in sums:
        raise EvidenceError(f"{metric}: statistics have no {key}, which its interval needs")
    return sums[key]


def _count(metric: str, sums: Mapping[str, float], key: str, most: int) -> int:
    found = _sum(metric, sums, key)
    if found != int(found) or not 0 <= found <= most:
        raise EvidenceError(f"{metric}: {key}: found {found!r}, expected a count of at most {most}")
    return int(found)
