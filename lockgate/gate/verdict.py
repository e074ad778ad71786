"""What a gate says: for every rule and overall, with the numbers it is based on. Only passed promotes.

A rule decides on an interval whose ends are wrong with probability at most `alpha` each: passed when all of it keeps
the bound, failed when none of it does, inconclusive when it cannot tell. All rules must pass, so a model that breaks
one passes with probability at most `alpha` (docs/statistics.md). "failed" claims no more than one interval shows.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from math import isinf

from lockgate.errors import EvidenceError
from lockgate.evidence.document import Evidence, Group
from lockgate.evidence.measurement import Measured, Unmeasured, compared, gaps, groups_of, measured
from lockgate.gate.readings import Reading
from lockgate.policy.rules import Compare, Gap, Limit, Policy, Require, Rule
from lockgate.release.advice import deliver_again

SIGNS = {("floor", True): ">=", ("floor", False): "<", ("ceiling", True): "<=", ("ceiling", False): ">"}


class Outcome(Enum):
    """Ordered from best to worst; the overall outcome is the worst of its rules'."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    ERROR = "error"

    @property
    def badness(self) -> int:
        return list(Outcome).index(self)


@dataclass(frozen=True)
class RuleResult:
    """One rule's outcome, with a message that carries its numbers; one of a dry run is reported and decides nothing."""

    rule: str
    outcome: Outcome
    message: str
    dry_run: bool = False


@dataclass(frozen=True)
class Judgement:
    """The decision of one gate: the worst of its reasons; no reason at all is an error, never a pass."""

    reasons: tuple[RuleResult, ...]

    @property
    def outcome(self) -> Outcome:
        deciding = [reason.outcome for reason in self.reasons if not reason.dry_run]
        return max(deciding, key=lambda outcome: outcome.badness) if deciding else Outcome.ERROR


@dataclass(frozen=True)
class Circumstances:
    """What a decision needs beside policy and evidence.

    alpha: what this decision may spend. champion_sha256: digest of the model that the last environment serves, by the
    ledger; "" where nothing is served. unchanged: what serves this very model, in words, so that no rule looks at a
    row; "" where nothing does. readings: what is known of requirements. waived: rule -> who waived it and why.
    """

    alpha: float
    champion_sha256: str = ""
    unchanged: str = ""
    readings: Mapping[str, Reading] = field(default_factory=dict)
    waived: Mapping[str, str] = field(default_factory=dict)


def judge(policy: Policy, evidence: Evidence, circumstances: Circumstances) -> Judgement:
    """Apply every rule of a policy to evidence that was verified."""
    return Judgement(tuple(_reason(rule, evidence, circumstances) for rule in policy.rules))


def refusal(rule: str, message: str, outcome: Outcome = Outcome.ERROR) -> Judgement:
    """The verdict when evidence could not even be judged, with why."""
    return Judgement((RuleResult(rule, outcome, message),))


def _reason(rule: Rule, evidence: Evidence, circumstances: Circumstances) -> RuleResult:
    try:
        if circumstances.unchanged and not isinstance(rule, Require):
            reason = RuleResult(
                rule.name, Outcome.PASSED, f"unchanged: {circumstances.unchanged}; no row was looked at"
            )
        elif isinstance(rule, Limit):
            reason = _limit(rule, evidence, circumstances.alpha)
        elif isinstance(rule, Compare):
            reason = _compare(rule, evidence, circumstances)
        elif isinstance(rule, Gap):
            reason = _gap(rule, evidence, circumstances.alpha)
        else:
            reason = _require(rule, circumstances.readings)
    except EvidenceError as error:
        reason = RuleResult(rule.name, Outcome.ERROR, str(error))
    if rule.dry_run:
        return replace(reason, dry_run=True)
    waiver = circumstances.waived.get(rule.name)
    if waiver and reason.outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE):
        return replace(
            reason, outcome=Outcome.PASSED, message=f"{reason.outcome.value}, waived by {waiver}: {reason.message}"
        )
    return reason


def _limit(rule: Limit, evidence: Evidence, alpha: float) -> RuleResult:
    if not rule.by:
        return _against(rule.name, rule, measured(rule.metric, evidence, alpha), "")
    groups = groups_of(evidence, rule.by)
    if rule.group and rule.group not in groups:
        raise EvidenceError(f"{rule.by} {rule.group}: found no row of this group, expected one of {', '.join(groups)}")
    chosen = {rule.group: groups[rule.group]} if rule.group else groups
    large, reasons = _large_enough(rule, rule.metric, chosen)
    reasons += [
        _against(rule.name, rule, measured(rule.metric, evidence, alpha, group), f" for {rule.by} {value}")
        for value, group in large.items()
    ]
    if not reasons:
        message = f"{rule.metric} by {rule.by}: found no group that the policy does not leave out, expected one"
        reasons = [RuleResult(rule.name, Outcome.INCONCLUSIVE, message)]
    return _with_left_out(_worst(rule.name, reasons), rule)


def _large_enough(
    rule: Limit | Gap, what: str, groups: Mapping[str, Group]
) -> tuple[dict[str, Group], list[RuleResult]]:
    """The groups that a rule looks at, and what it says of those with fewer rows than the policy asks for."""
    kept = {value: group for value, group in groups.items() if value not in rule.leave_out}
    large = {value: group for value, group in kept.items() if group.rows >= rule.minimum_rows}
    small = {value: group for value, group in kept.items() if value not in large}
    if not small:
        return large, []
    found = ", ".join(f"{value} ({group.rows} rows)" for value, group in small.items())
    more = ", ".join(f"{rule.minimum_rows - group.rows} of {value}" for value, group in small.items())
    message = (
        f"{what} by {rule.by}: fewer than {rule.minimum_rows} rows in {found}; "
        f"to be judged it takes more labelled rows: {more}"
    )
    return large, [RuleResult(rule.name, Outcome.INCONCLUSIVE, message)]


def _with_left_out(reason: RuleResult, rule: Limit | Gap) -> RuleResult:
    """Every verdict names the groups that a reviewer excused."""
    if not rule.leave_out:
        return reason
    return replace(reason, message=f"{reason.message}; left out by the policy: {', '.join(rule.leave_out)}")


def _unmeasured(name: str, what: str, found: Unmeasured) -> RuleResult:
    return RuleResult(name, Outcome.INCONCLUSIVE, f"{what}: not measured: {found.why}")


def _against(name: str, rule: Limit, found: Measured | Unmeasured, where: str) -> RuleResult:
    if isinstance(found, Unmeasured):
        return _unmeasured(name, f"{rule.metric}{where}", found)
    outcome = decided(rule.bound, rule.value, found, rule.decide)
    holds = _holds(rule.bound, rule.value, found.value)
    shown = _shown(found.value, rule.value)
    message = (
        f"{rule.metric} {shown} on {found.rows} rows {SIGNS[rule.bound, holds]} {rule.bound} {rule.value:g}{where}"
    )
    return RuleResult(name, outcome, f"{message}; {_basis(found, rule.decide)}{_needed(outcome, rule.value, found)}")


def _compare(rule: Compare, evidence: Evidence, circumstances: Circumstances) -> RuleResult:
    expected, champion = circumstances.champion_sha256, evidence.champion
    again = f"{deliver_again()} has it evaluated against what is served now"
    if not expected:
        return RuleResult(
            rule.name, Outcome.PASSED, f"{rule.metric}: nothing is served, so there is no champion to compare with"
        )
    if champion is None and evidence.champion_missing:
        message = (
            f"{rule.metric}: not compared with the champion {expected[:12]}, which could not predict these rows: "
            f"{evidence.champion_missing}; delivering again would meet the same. The way on is that somebody who is no "
            f"author lets the rule go for this version and this champion: `lockgate waive VERSION --env ENV --rule "
            f"{shlex.quote(rule.name)} --reason WHY --expires DATE`"
        )
        return RuleResult(rule.name, Outcome.INCONCLUSIVE, message)
    if champion is None:
        message = f"{rule.metric}: compared with no champion, while {expected[:12]} is served; {again}"
        return RuleResult(rule.name, Outcome.INCONCLUSIVE, message)
    if champion.model_sha256 != expected:
        message = f"{rule.metric}: compared with {champion.model_sha256[:12]}, while {expected[:12]} is served; {again}"
        return RuleResult(rule.name, Outcome.INCONCLUSIVE, message)
    found = compared(rule.metric, evidence, champion, circumstances.alpha)
    if isinstance(found, Unmeasured):
        return _unmeasured(rule.name, rule.metric, found)
    outcome = decided("floor", rule.gain, found, rule.decide)
    sign = SIGNS["floor", _holds("floor", rule.gain, found.value)]
    message = (
        f"{rule.metric} better than the champion's by {_shown(found.value, rule.gain)} on {found.rows} rows "
        f"{sign} {rule.gain:g}; champion {expected[:12]}"
    )
    return RuleResult(
        rule.name, outcome, f"{message}; {_basis(found, rule.decide)}{_needed(outcome, rule.gain, found)}"
    )


def _gap(rule: Gap, evidence: Evidence, alpha: float) -> RuleResult:
    large, found = _large_enough(rule, rule.measure, groups_of(evidence, rule.by))
    if len(large) < 2:
        message = (
            f"{rule.measure} by {rule.by}: found {len(large)} groups of at least {rule.minimum_rows} rows, expected 2"
        )
        found.append(RuleResult(rule.name, Outcome.INCONCLUSIVE, message))
    for gap in gaps(rule.measure, rule.bound, large, alpha, evidence.target):
        between = f"between {rule.by} {gap.one} and {gap.other}"
        if isinstance(gap.measured, Unmeasured):
            found.append(_unmeasured(rule.name, f"{gap.metric} {between}", gap.measured))
            continue
        outcome = decided(rule.bound, rule.value, gap.measured, "interval")
        sign = SIGNS[rule.bound, _holds(rule.bound, rule.value, gap.measured.value)]
        shown = _shown(gap.measured.value, rule.value)
        kind = "difference" if rule.bound == "ceiling" else "ratio"
        message = (
            f"{gap.metric} {kind} {shown} {between} on {gap.measured.rows} rows "
            f"{sign} {rule.bound} {rule.value:g}; {_basis(gap.measured, 'interval')}"
        )
        found.append(RuleResult(rule.name, outcome, message + _needed(outcome, rule.value, gap.measured)))
    return _with_left_out(_worst(rule.name, found), rule)


def _require(rule: Require, readings: Mapping[str, Reading]) -> RuleResult:
    if rule.what not in readings:
        return RuleResult(rule.name, Outcome.ERROR, f"{rule.what}: found no evidence of it, expected a number")
    found = readings[rule.what]
    if found.value is None:
        return RuleResult(rule.name, Outcome.INCONCLUSIVE, f"{rule.what}: not known: {found.note}")
    holds = _holds(rule.bound, rule.value, found.value)
    message = f"{rule.what} {_shown(found.value, rule.value)} {SIGNS[rule.bound, holds]} {rule.bound} {rule.value:g}"
    message += f"; {found.note}" if found.note else ""
    return RuleResult(rule.name, Outcome.PASSED if holds else Outcome.FAILED, message)


def _worst(name: str, reasons: Sequence[RuleResult]) -> RuleResult:
    """The worst of several, and how many there are of each outcome; the first of equals."""
    worst = max(reasons, key=lambda reason: reason.outcome.badness)
    if len(reasons) == 1:
        return worst
    counts = [(outcome, sum(reason.outcome is outcome for reason in reasons)) for outcome in Outcome]
    tally = ", ".join(f"{count} {outcome.value}" for outcome, count in counts if count)
    others = [reason.message for reason in reasons if reason.outcome is worst.outcome]
    return RuleResult(
        name, worst.outcome, f"{tally}: {'; '.join(others[:MOST_SHOWN])}{_more(len(others) - MOST_SHOWN)}"
    )


MOST_SHOWN = 5  # groups of the deciding outcome in one message


def _more(count: int) -> str:
    return f"; and {count} more" if count > 0 else ""


def _holds(bound: str, limit: float, value: float) -> bool:
    return value >= limit if bound == "floor" else value <= limit


def decided(bound: str, limit: float, found: Measured, decide: str) -> Outcome:
    """Passed when all of the interval (or the estimate, where that decides) keeps the bound, failed when none does."""
    ends = [found.value] if decide == "estimate" else [found.interval.low, found.interval.high]
    kept = [_holds(bound, limit, end) for end in ends]
    if all(kept):
        return Outcome.PASSED
    return Outcome.INCONCLUSIVE if any(kept) else Outcome.FAILED


def _basis(found: Measured, decide: str) -> str:
    """What was decided on: the interval and how far it can be trusted, or the number alone where the policy says so."""
    if decide == "estimate":
        return "by the point estimate, as the policy says"
    interval = found.interval
    return f"{interval.guarantee} interval {interval.low:.6g} to {interval.high:.6g} at {found.alpha:.2g}"


def _needed(outcome: Outcome, limit: float, found: Measured) -> str:
    """How many rows more would decide, if they were like these; margins shrink with the root of the rows."""
    if outcome is not Outcome.INCONCLUSIVE:
        return ""
    if isinf(found.interval.high) or isinf(found.interval.low):
        return "; these rows cannot say how many more would decide"
    more = rows_needed(limit, found)
    return (
        f"; about {more} more labelled rows would decide" if more else "; at the limit itself no number of rows decides"
    )


def rows_needed(limit: float, found: Measured) -> int:
    """0 where the value is as good as the limit itself, so that no number of rows decides.

    An interval's end on the side of the limit lies at value -+ margin and the margin falls as 1 / sqrt(rows), so
    rows (margin / distance)^2 rows bring it to the limit: an estimate, since new rows will differ.
    """
    distance = abs(found.value - limit)
    margin = found.value - found.interval.low if limit < found.value else found.interval.high - found.value
    if distance * 1e9 <= margin:  # the ratio below would overflow where the distance is next to nothing
        return 0
    return max(1, int(found.rows * ((margin / distance) ** 2 - 1)) + 1)


def _shown(value: float, limit: float) -> str:
    """Six digits, or all where six would read as if the number equalled the limit or were on its other side."""
    short = f"{value:.6g}"
    rounded = float(short)
    same_side = (rounded > limit) == (value > limit) and (rounded < limit) == (value < limit)
    return short if same_side else repr(value)
