"""What one decision may spend of the false-promotion rate that a policy states.

The author of a commit learns from verdicts, so later commits depend on the holdout they will be judged on, and an
interval that is right for a fixed commit is not for those. What stays true: before the holdout was used, the tree of
everything that could happen on it was fixed. A node of that tree is one commit against one champion, fixed before the
data, so its bound holds; the chance that any node lets a worse model through is at most the sum of their levels. This
module gives each node a level such that all of them sum to the rate (Dwork et al., "Generalization in adaptive data
analysis and holdout reuse", NeurIPS 2015; Renggli et al., "Continuous integration of machine learning models with
ease.ml/ci", MLSys 2019, give every node the same).

It holds only while authors see nothing of a decision but its one bit, passed or not: no number, no interval, no reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, pi
from typing import Literal

Feedback = Literal["none", "first-pass", "every-verdict"]
Scope = Literal["holdout", "policy"]


@dataclass(frozen=True)
class Budget:
    """What a policy states.

    rate: the probability of ever letting a model through that a rule should have stopped, at most.
    scope: over what the rate holds; one holdout's life, or the policy's, over all its successive holdouts.
    decisions: how many decisions one holdout serves; then it is used up.
    feedback: what authors learn: nothing; the first pass, which ends the holdout's life; or of each if it passed.
    """

    rate: float
    scope: Scope
    decisions: int
    feedback: Feedback


def holdout_rate(budget: Budget, holdout: int) -> float:
    """The rate of the holdout-th holdout (from 1): the whole rate, or 6 / (pi^2 i^2) of it, which sums to it."""
    if holdout < 1:
        raise ValueError(f"holdout {holdout}: they are counted from 1")
    return budget.rate if budget.scope == "holdout" else budget.rate * 6 / (pi * holdout) ** 2


def used_up(budget: Budget, spent: int, passes: int) -> bool:
    """Whether a holdout with `spent` decisions so far, `passes` of which passed, may serve no more."""
    return spent >= budget.decisions or (budget.feedback == "first-pass" and passes > 0)


def decision_level(budget: Budget, holdout: int, spent: int, passes: int) -> float:
    """The alpha of the next decision on the holdout-th holdout, after `spent` decisions of which `passes` passed.

    Raises ValueError where the holdout is used up.
    """
    if not 0 <= passes <= spent:
        raise ValueError(f"{passes} passes of {spent} decisions")
    if used_up(budget, spent, passes):
        raise ValueError(f"the holdout is used up: {spent} decisions, {passes} passed, of {budget.decisions}")
    return holdout_rate(budget, holdout) / (budget.decisions * paths(budget.feedback, spent, passes))


def paths(feedback: Feedback, spent: int, passes: int) -> float:
    """By how much the next decision's share is divided, since the data so far chose what is compared in it.

    first-pass: 1. While the holdout lives nothing has passed, so there is one way to get here.
    none: commits do not depend on the data, but after a pass the champion does: it is one of the `spent` before.
    Half the share is for "no pass yet", half for the others.
    every-verdict: commit and champion follow from which decisions passed: C(spent, passes) ways. Each number of passes
    from 0 to `spent` gets 1 / ((passes + 1)(passes + 2)) of the share, scaled to sum to 1. A holdout on which little
    passes, as most do, so costs little more than without feedback, instead of the 2^decisions of a uniform union bound.
    """
    if feedback == "first-pass" or spent == 0:
        return 1.0
    if feedback == "none":
        return 2.0 if passes == 0 else 2.0 * spent
    return (passes + 1) * (passes + 2) * comb(spent, passes) * (spent + 1) / (spent + 2)


def smallest_level(budget: Budget, holdout: int) -> float:
    """The alpha of the worst decision that can come up on the holdout-th holdout, whatever passes: for planning."""
    last = 0 if budget.feedback == "first-pass" else budget.decisions - 1
    most = max(paths(budget.feedback, last, passes) for passes in range(last + 1))
    return holdout_rate(budget, holdout) / (budget.decisions * most)
