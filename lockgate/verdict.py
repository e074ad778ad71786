"""What a gate says: for every rule and overall, with the numbers it is based on. Only passed promotes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from lockgate.evidence import Evidence
from lockgate.policy import Limit, Policy


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
class Reason:
    """One rule's outcome, with a message that carries its numbers."""

    rule: str
    outcome: Outcome
    message: str

    def as_dict(self) -> dict[str, Any]:
        return {"rule": self.rule, "outcome": self.outcome.value, "message": self.message}


@dataclass(frozen=True)
class Verdict:
    """The decision of one gate: the worst of its reasons; no reason at all is an error, never a pass."""

    reasons: tuple[Reason, ...]

    @property
    def outcome(self) -> Outcome:
        if not self.reasons:
            return Outcome.ERROR
        return max((reason.outcome for reason in self.reasons), key=lambda outcome: outcome.badness)

    def as_dict(self) -> dict[str, Any]:
        return {"outcome": self.outcome.value, "reasons": [reason.as_dict() for reason in self.reasons]}


def judge(policy: Policy, evidence: Evidence) -> Verdict:
    """Apply every rule of a policy to evidence that was verified."""
    return Verdict(tuple(_limit(rule, evidence) for rule in policy.rules))


def refusal(rule: str, message: str) -> Verdict:
    """The verdict when evidence could not even be judged: error, with why."""
    return Verdict((Reason(rule, Outcome.ERROR, message),))


def _limit(rule: Limit, evidence: Evidence) -> Reason:
    if rule.metric in evidence.unreadable:
        return Reason(rule.name, Outcome.ERROR, f"{rule.metric}: {evidence.unreadable[rule.metric]}")
    metric = evidence.metrics.get(rule.metric)
    if metric is None:
        known = ", ".join(sorted(evidence.metrics)) or "none"
        return Reason(rule.name, Outcome.ERROR, f"{rule.metric}: not in the evidence (it has: {known})")
    if metric.rows == 0:
        return Reason(rule.name, Outcome.ERROR, f"{rule.metric}: measured on 0 rows")
    holds = rule.holds(metric.value)
    sign = {("floor", True): ">=", ("floor", False): "<", ("ceiling", True): "<=", ("ceiling", False): ">"}
    short = f"{metric.value:.6g}"
    shown = short if rule.holds(float(short)) == holds else repr(metric.value)  # 0.79999999 is not 0.8
    message = f"{rule.metric} {shown} on {metric.rows} rows {sign[rule.bound, holds]} {rule.bound} {rule.value}"
    return Reason(rule.name, Outcome.PASSED if holds else Outcome.FAILED, message)
