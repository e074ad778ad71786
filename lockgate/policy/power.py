"""What a policy cannot find in the holdout that it has, said at synth and not after the first inconclusive verdict."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.policy.planning import Guess, plan
from lockgate.policy.rules import Compare, Gap, Policy, Require, Rule
from lockgate.statistics.budget import Simple, smallest_level
from lockgate.tasks.target import Target

ENOUGH_ROWS = 20_000  # of which no rule is told about: searching would take seconds
DIFFERENCES = (0.2, 0.1, 0.05, 0.02)  # how far a model is on the right side of a bound
DISAGREEMENT, RATE, DEVIATION, POWER = 0.1, 0.5, 0.3, 0.8


def cannot_find(policy: Policy, target: Target, holdout_rows: int) -> Iterator[str]:
    """A sentence for each rule that leaves models undecided in so many rows, with how good one must be to pass.

    For a budget, at the level of its last decision.
    """
    if holdout_rows >= ENOUGH_ROWS:
        return
    assurance = policy.assurance
    alpha = assurance.error if isinstance(assurance, Simple) else smallest_level(assurance, 1)
    for rule in policy.rules:
        if not isinstance(rule, Require):
            said = _said(rule, alpha, target, holdout_rows)
            if said:
                yield f"rule {rule.name!r}: {said} (of {holdout_rows} rows, at error {alpha:.2g})"


def _said(rule: Rule, alpha: float, target: Target, rows: int) -> str:
    """Empty where the smallest of DIFFERENCES is found."""
    if isinstance(rule, Gap):
        needed = _needed(rule, alpha, target, DIFFERENCES[-1])
        enough = needed is None or needed * 2 <= rows
        return "" if enough else f"needs about {needed} rows of each {rule.by} where groups are treated alike"
    found: float | None = None
    for difference in DIFFERENCES:
        if isinstance(rule, Compare) and target.classes and difference + rule.gain > DISAGREEMENT:
            continue
        needed = _needed(rule, alpha, target, difference)
        if needed is None or needed > rows:
            break
        found = difference
    if found == DIFFERENCES[-1]:
        return ""
    if not found:
        return "passes none"
    far = f"{found:g}" if target.classes else f"{found:.0%} of its bound"
    return f"passes a model {far} on the right side of its bound, and none that is closer"


def _needed(rule: Rule, alpha: float, target: Target, difference: float) -> int | None:
    """Rows, or None where nobody can say."""
    try:
        need = plan(rule, alpha, Guess(difference, DISAGREEMENT, RATE, DEVIATION, POWER), target).need
    except ValueError:
        return None
    return need.rows if need else None
