"""From the counts and sums of evidence to a number, its interval and its rows: what a rule decides on.

What was not measured is `Unmeasured`, with why: no number stands in for it, so no rule can take one for a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from lockgate.errors import EvidenceError
from lockgate.evidence.document import Champion, Evidence, Group
from lockgate.release.advice import deliver_again
from lockgate.statistics.interval import Interval
from lockgate.tasks.kinds import Area, MetricKind
from lockgate.tasks.target import Target
from lockgate.tasks.task import measures_of, metrics_of


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
    """How far a metric of two groups is apart: a difference, or the ratio of the lower to the higher."""

    metric: str
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
    """A metric of the whole holdout, or of a group.

    Raises EvidenceError where the evidence lacks what every holdout has: a metric of all rows, or rows at all.
    """
    kind = _kind(metric, evidence.target)
    found = (group.metrics if group else evidence.metrics).get(metric)
    if found is None and group is None and metric in evidence.unreadable:
        raise EvidenceError(f"{metric}: {evidence.unreadable[metric]}")
    if found is None and (group is not None or (kind.counts and not isinstance(kind, Area))):
        return _unmeasured(kind, group.rows if group else evidence.data.holdout_rows)
    if found is None:
        known = ", ".join(sorted(evidence.metrics)) or "none"
        raise EvidenceError(f"{metric}: not in the evidence (it has: {known})")
    if not found.rows:
        raise EvidenceError(f"{metric}: measured on 0 rows")
    return Measured(kind.value(metric, found), kind.interval(metric, found, alpha), found.rows, alpha)


def _kind(metric: str, target: Target) -> MetricKind:
    kinds = metrics_of(target)
    if metric not in kinds:
        raise EvidenceError(f"{metric}: no metric of a {target.task} model (there are: {', '.join(kinds)})")
    return kinds[metric]


def _unmeasured(kind: MetricKind, rows: int) -> Unmeasured:
    if kind.counts:
        return Unmeasured(f"found none of {rows} rows that counts, expected {kind.counts}", rows)
    return Unmeasured(f"its evaluator did not measure it for this group: {deliver_again()}", rows)


def compared(metric: str, evidence: Evidence, champion: Champion, alpha: float) -> Measured | Unmeasured:
    """By how much the challenger is better than the champion on the same rows: positive is better, of losses too.

    Not measured where no row counts for either.
    """
    kind = _kind(metric, evidence.target)
    own, before, sums = evidence.metrics.get(metric), champion.metrics.get(metric), champion.paired.get(metric)
    if own is None and before is None and kind.counts:
        return _unmeasured(kind, evidence.data.holdout_rows)
    if own is None or before is None or sums is None:
        raise EvidenceError(f"{metric}: the evidence does not compare it with the champion's")
    if own.rows != before.rows:
        raise EvidenceError(f"{metric}: measured on {own.rows} rows, the champion's on {before.rows}: not the same")
    if not own.rows:
        raise EvidenceError(f"{metric}: compared on 0 rows")
    for each in (own, before):
        kind.value(metric, each)
    value, found = kind.difference(metric, own, before, sums, alpha)
    if kind.scale.better == "lower":
        return Measured(0.0 - value, Interval(-found.high, -found.low, found.guarantee), own.rows, alpha)
    return Measured(value, found, own.rows, alpha)


def gaps(measure: str, bound: str, groups: Mapping[str, Group], alpha: float, target: Target) -> Iterator[GroupGap]:
    """Every pair of groups, and of each every metric of the measure.

    The end that lets a model pass is wrong with probability at most alpha; the other, which fails it, with at most
    2 alpha, since either group may be the higher one. Raises EvidenceError for a measure that the task has not.
    """
    measures = measures_of(target)
    if measure not in measures:
        raise EvidenceError(f"{measure}: no measure of a {target.task} model (there are: {', '.join(measures)})")
    for one, other in combinations(groups, 2):
        for metric in measures[measure]:
            kind = _kind(metric, target)
            yield GroupGap(
                metric, one, other, _apart(metric, kind, bound, {key: groups[key] for key in (one, other)}, alpha)
            )


def _apart(metric: str, kind: MetricKind, bound: str, pair: Mapping[str, Group], alpha: float) -> Measured | Unmeasured:
    found = [group.metrics.get(metric) for group in pair.values()]
    for (value, group), each in zip(pair.items(), found, strict=True):
        if each is None or not each.rows:
            missing = _unmeasured(kind, group.rows)
            return Unmeasured(f"{value}: {missing.why}", missing.rows)
    one, other = (each for each in found if each is not None)
    apart, interval = kind.gap(metric, one, other, bound, alpha)
    return Measured(apart, interval, one.rows + other.rows, alpha)
