"""How much of a holdout is used up, read from a ledger's chain: each decision that looked at it spent some.

Every environment's gate looks at the same rows, and authors may learn of each, so the decisions of all environments
count together. A verdict about evidence that could not be trusted looked at no row and spends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.ledger import Record
from lockgate.statistics.budget import Budget, Feedback, decision_level, used_up


@dataclass(frozen=True)
class Usage:
    """A holdout's number among those of its model, from 1, and the decisions made on it so far, and how many passed.

    own_passes: how many of those were about the version that is asked about now, in the environments before.
    """

    holdout: int
    spent: int
    passes: int
    own_passes: int = 0

    def level(self, budget: Budget) -> float | None:
        """The alpha of the next decision; None when the holdout is used up.

        A version's own first pass ends the holdout's life for every other version, not for its own way up: what is
        asked there was fixed before it passed.
        """
        passes = self.passes - self.own_passes if budget.feedback == "first-pass" else self.passes
        if used_up(budget, self.spent, passes):
            return None
        return decision_level(budget, self.holdout, self.spent, passes)


def usage(chain: Sequence[Record], labels_sha256: str, version: int) -> Usage:
    """What the chain says about the holdout with these labels to a version that is asked about next.

    A holdout that the chain never saw comes after those it did.
    """
    decisions = [
        record.entry for record in chain if record.entry.kind == "verdict" and record.entry.body.get("holdout_sha256")
    ]
    seen = list(dict.fromkeys(entry.body["holdout_sha256"] for entry in decisions))
    mine = [entry for entry in decisions if entry.body["holdout_sha256"] == labels_sha256]
    passed = [entry for entry in mine if entry.body["outcome"] == "passed"]
    number = seen.index(labels_sha256) + 1 if mine else len(seen) + 1
    return Usage(number, len(mine), len(passed), sum(entry.version == version for entry in passed))


def tells_authors(feedback: Feedback, passed: bool) -> bool:
    """Whether authors may learn how a decision ended: at most the one bit that the budget counts on, and no number."""
    return feedback == "every-verdict" or (feedback == "first-pass" and passed)
