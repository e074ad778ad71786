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
from math import exp, expm1, lgamma, log, pi
from typing import ClassVar, Literal

Feedback = Literal["none", "first-pass", "every-verdict", "numbers"]  # what authors learn, from least to most
Scope = Literal["holdout", "policy"]
Level = Literal["simple", "budget"]  # of assurance


@dataclass(frozen=True)
class Simple:
    """Every decision at the same error, with its numbers shown to authors; no promise over repeated use."""

    LEVEL: ClassVar[Level] = "simple"
    feedback: ClassVar[Feedback] = "numbers"

    error: float
    """The probability that one decision lets a model through that a rule should have stopped, at most."""


@dataclass(frozen=True)
class Budget:
    """What a policy states about how often a holdout may be asked."""

    LEVEL: ClassVar[Level] = "budget"

    rate: float
    """The probability of ever letting a model through that a rule should have stopped, at most."""
    scope: Scope
    """Over what the rate holds: one holdout's life, or the policy's, over all its successive holdouts."""
    decisions: int
    """How many decisions one holdout serves; then it is used up."""
    feedback: Feedback
    """What authors learn: nothing; the first pass, which ends the holdout's life; or of each if it passed."""


Assurance = Simple | Budget


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
    return holdout_rate(budget, holdout) * weight(budget.feedback, budget.decisions, spent, passes)


_UNIFORM = 0.1  # of every-verdict's rate, the same for each sequence of verdicts


def weight(feedback: Feedback, decisions: int, spent: int, passes: int) -> float:
    """The part of a holdout's rate that one node of the tree gets; over all nodes they sum to 1.

    first-pass: 1 / decisions. While the holdout lives nothing has passed, so there is one way to get here.
    none: commits do not depend on the data, but after a pass the champion does: it is one of the `spent` before. Half
    is for the decisions before any pass, half for the pairs of a commit and one before it, each the same.
    every-verdict: commit and champion follow from which decisions passed, C(spent, passes) ways. A tenth is for all
    2^decisions - 1 sequences alike, which keeps the worst of them affordable. The rest is for each decision the same,
    in it 1 / ((passes + 1)(passes + 2)) for each number of passes, scaled to sum to 1: a holdout on which little
    passes, as on most, costs little more than without feedback.
    """
    if feedback == "first-pass" or decisions == 1:
        return 1 / decisions
    if feedback == "none":
        return 1 / (2 * decisions) if passes == 0 else 1 / (decisions * (decisions - 1))
    by_passes = (spent + 2) / ((spent + 1) * (passes + 1) * (passes + 2) * decisions)
    ways = lgamma(spent + 1) - lgamma(passes + 1) - lgamma(spent - passes + 1)
    return (1 - _UNIFORM) * by_passes * exp(-ways) + _UNIFORM * exp(-decisions * log(2)) / -expm1(-decisions * log(2))


def depth_weight(feedback: Feedback, decisions: int, spent: int) -> float:
    """What all nodes that decision number `spent` + 1 can come up at have together: what it spent, whatever passed."""
    if feedback == "every-verdict" and decisions > 1:
        uniform = exp((spent - decisions) * log(2)) / -expm1(-decisions * log(2))
        return (1 - _UNIFORM) / decisions + _UNIFORM * uniform
    if feedback == "none" and decisions > 1:
        return 1 / (2 * decisions) + spent / (decisions * (decisions - 1))
    return 1 / decisions


def smallest_level(budget: Budget, holdout: int) -> float:
    """The alpha of the worst decision that can come up on the holdout-th holdout, whatever passes: for planning."""
    last = 0 if budget.feedback == "first-pass" else budget.decisions - 1
    least = min(weight(budget.feedback, budget.decisions, last, passes) for passes in range(last + 1))
    return holdout_rate(budget, holdout) * least
