"""How much of a holdout is used up, read from a ledger's chain: each decision that looked at it spent some.

Every environment's gate looks at the same rows, and authors may learn of each, so the decisions of all environments
count together. A verdict about evidence that could not be trusted looked at no row and spends nothing.

Under simple assurance nothing is spent. Its numbers are known to authors, so what it judged serves no budget any more.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from lockgate.evidence.document import Data
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Holdout, Verdict
from lockgate.ledger.records import Record
from lockgate.release.advice import deliver_again
from lockgate.statistics.budget import (
    Assurance,
    Budget,
    Feedback,
    Simple,
    decision_level,
    depth_weight,
    holdout_rate,
    used_up,
)

_ROUNDING = 1 + 1e-9
_TOLD: tuple[Feedback, ...] = get_args(Feedback)
COMMAND = "lockgate snapshot --record-holdout"
CHOOSE = "lockgate snapshot --use SNAPSHOT"
# Below it nothing can be decided, and the bounds need not be right: thousands of decisions, half of which passed.
SMALLEST_LEVEL = 1e-250


class Usage(NamedTuple):
    """A holdout's number among those of its model, from 1, and the decisions made on it so far, and how many passed.

    Holdouts that only simple assurance looked at have no number: no rate was spent on them.
    own_passes: how many of those were about the version that is asked about now, in the environments before.
    """

    holdout: int
    spent: int
    passes: int
    own_passes: int = 0

    def level(self, budget: Assurance) -> float | None:
        """The alpha of the next decision, which is always the same under simple; None when the holdout is used up.

        A version's own first pass ends the holdout's life for every other version, not for its own way up: what is
        asked there was fixed before it passed.
        """
        if isinstance(budget, Simple):
            return budget.error
        passes = self.passes - self.own_passes if budget.feedback == "first-pass" else self.passes
        if used_up(budget, self.spent, passes):
            return None
        level = decision_level(budget, self.holdout, self.spent, passes)
        return level if level > SMALLEST_LEVEL else None


def usage(chain: ReleaseChain, labels_sha256: str, version: int) -> Usage:
    """What the chain says about the holdout with these labels to a version that is asked about next.

    A holdout that the chain never saw comes after those it did.
    """
    seen, mine = holdouts(chain), _decisions(chain, labels_sha256)
    passed = [record for record in mine if record.entry.body.outcome == "passed"]
    number = seen.index(labels_sha256) + 1 if labels_sha256 in seen else len(seen) + 1
    return Usage(number, len(mine), len(passed), sum(record.entry.version == version for record in passed))


def holdouts(chain: ReleaseChain) -> list[str]:
    """Digest of the labels of each holdout that was recorded or that a budget paid for, in the order of the chain."""
    about = [record.entry.body for record in chain]
    paid = [body for body in about if isinstance(body, Holdout) or (isinstance(body, Verdict) and body.budget)]
    return list(dict.fromkeys(body.holdout_sha256 for body in paid if body.holdout_sha256))


def _looked_at(chain: ReleaseChain) -> list[str]:
    """The same of every holdout that was recorded or decided on, whatever the assurance."""
    about = (record.entry.body for record in chain)
    digests = (body.holdout_sha256 for body in about if isinstance(body, Verdict | Holdout))
    return list(dict.fromkeys(digest for digest in digests if digest))


def retired_by(chain: ReleaseChain, labels_sha256: str) -> str:
    """The labels of a newer holdout that has judged since one with these labels did first; "" where none has.

    Rows of a holdout that another one replaced may be training rows by then, so that it serves no budget any more,
    unless somebody proved afterwards that they are not. A version that it had judged before goes its own way up, since
    what is asked there was fixed.
    """
    first = {
        each.entry.body.holdout_sha256: each for each in reversed(chain.of(Verdict)) if each.entry.body.holdout_sha256
    }
    if labels_sha256 not in first:
        return ""
    newest = max(first.values(), key=lambda each: each.sequence)
    proof = recorded(chain, labels_sha256)
    if first[labels_sha256] is newest or (proof and proof.sequence > newest.sequence):
        return ""
    return newest.entry.body.holdout_sha256 or ""


def recorded(chain: ReleaseChain, labels_sha256: str) -> Record[Holdout] | None:
    """The record with which a holdout was proved to be a fresh one."""
    about = (record for record in chain.of(Holdout) if record.entry.body.holdout_sha256 == labels_sha256)
    return next(about, None)


class SnapshotPart(NamedTuple):
    """The rows of one part of a snapshot, "train" or "holdout", and the SHA-256 of their digests where it is known."""

    snapshot: str
    part: Literal["train", "holdout"]
    identities_sha256: str = ""


def known_rows(chain: ReleaseChain, labels_sha256: str) -> list[SnapshotPart]:
    """What a holdout with these labels must share no row with: every other holdout, and what any was trained on."""
    known: dict[SnapshotPart, None] = {}
    for record in chain:
        body = record.entry.body
        if isinstance(body, Holdout):
            data: Holdout | Data | None = body
            own = body.holdout_sha256
        else:
            data = body.data if isinstance(body, Verdict) else None
            own = data.labels_sha256 if data else ""
        if not data:
            continue
        if own != labels_sha256:
            known[SnapshotPart(data.snapshot, "holdout", data.holdout_identities_sha256)] = None
        known[SnapshotPart(data.snapshot, "train", data.train_identities_sha256)] = None
    return list(known)


def why_not(chain: ReleaseChain, data: Data, budget: Assurance, version: int) -> str:
    """Why the evidence's holdout may not serve this decision, with what to do; "" where it may.

    Simple assurance promises nothing over several decisions, so that it takes any rows. For a budget, the first holdout
    of a model needs no record: the evaluator refuses one that shares rows with training, and there is none before it.
    """
    if isinstance(budget, Simple):
        return ""
    used, before = usage(chain, data.labels_sha256, version), _looked_at(chain)
    name = f"holdout {data.labels_sha256[:12]} of {data.holdout_rows} rows"
    shown = [each for each in _decisions(chain, data.labels_sha256) if each.entry.body.feedback == "numbers"]
    if shown:
        return (
            f"{name}: found it judged under simple assurance ({shown[-1].reference}), where authors saw its numbers, "
            f"expected rows that nobody fitted: publish fresh labelled rows as a new snapshot, record them with "
            f"`{COMMAND}`, and {deliver_again()}"
        )
    proof = recorded(chain, data.labels_sha256)
    told = max((each.sequence for each in chain.of(Verdict) if each.entry.body.feedback == "numbers"), default=-1)
    if told >= 0 and (proof is None or proof.sequence < told):
        return (
            f"{name}: found no record that these rows are fresh since authors last saw numbers, expected one: rows "
            f"that were shown may be among them. Publish fresh labelled rows as a new snapshot, record them with "
            f"`{COMMAND}`, and {deliver_again()}"
        )
    newer = retired_by(chain, data.labels_sha256)
    if newer and not any(each.entry.version == version for each in _decisions(chain, data.labels_sha256)):
        return (
            f"{name}: found it retired: holdout {newer[:12]} has judged since, expected rows that nobody has seen: "
            f"choose the snapshot of the newest holdout (`{CHOOSE}`), and {deliver_again()}"
        )
    others = before[: before.index(data.labels_sha256)] if data.labels_sha256 in before else before
    if proof is None and others:
        return (
            f"{name}: found no record that these rows are fresh, expected one since holdouts were used before "
            f"({len(others)}): `{COMMAND} {data.snapshot}` proves and records it; then {deliver_again()}"
        )
    if proof and proof.entry.body.holdout_identities_sha256 != data.holdout_identities_sha256:
        return (
            f"{name}: found rows {data.holdout_identities_sha256[:12]} by the evaluator, expected "
            f"{proof.entry.body.holdout_identities_sha256[:12]}, of which {proof.reference} says that "
            f"they are fresh: publish the snapshot again and record what was published"
        )
    changed = overspends(chain, data.labels_sha256, budget)
    if changed:
        return f"{name}: {changed}"
    if used.level(budget) is None:
        return (
            f"{name} is used up: the policy lets it serve {budget.decisions} decisions with feedback "
            f"{budget.feedback}; publish {data.holdout_rows} fresh labelled rows as a new snapshot, record them with "
            f"`{COMMAND}`, and {deliver_again()}"
        )
    return ""


def overspends(chain: ReleaseChain, labels_sha256: str, budget: Budget) -> str:
    """Why this budget may not be spent from after what earlier decisions spent under theirs; "" where it may.

    A decision spends its depth's share of the rate that its budget gave its holdout. What was spent here must not be
    more than this budget would have spent by now, nor, over a policy's life, on any other holdout more than it gives
    that one: else both together could pass the stated rate. Authors must not have learned more than it counts on.
    """
    for number, digest in enumerate(holdouts(chain), start=1):
        here = digest == labels_sha256
        theirs = [found for record in _decisions(chain, digest) if (found := record.entry.body.budget)]
        if not theirs or not (here or budget.scope == "policy"):
            continue
        spent = sum(_share(before, number, place) for place, before in enumerate(theirs))
        may = holdout_rate(budget, number)
        if here:
            may = sum(_share(budget, number, place) for place in range(len(theirs)))
        told = max((before.feedback for before in theirs), key=_TOLD.index)
        if spent > may * _ROUNDING or (here and _TOLD.index(told) > _TOLD.index(budget.feedback)):
            return (
                f"found a budget of {_said(theirs[-1])} in its last decision{'' if here else f' on holdout {number}'}, "
                f"expected no other one than {_said(budget)} while its rate could be overspent: "
                f"{len(theirs)} decisions spent {spent:.3g}, where now {may:.3g} is allowed; put the budget back in "
                "every environment" + (f", or record fresh rows with `{COMMAND}`" if here else "")
            )
    return ""


def tells_authors(feedback: Feedback, passed: bool) -> bool:
    """Whether authors may learn how a decision ended: under a budget at most the one bit that it counts on."""
    return feedback in ("every-verdict", "numbers") or (feedback == "first-pass" and passed)


def tells_numbers(verdict: Verdict) -> bool:
    """Whether authors may see a verdict's numbers and reasons: every view of theirs asks here.

    A holdout on which they once saw some decides under no budget again, so that no verdict before or after it in the
    same chain says otherwise about the same rows.
    """
    return verdict.feedback == "numbers"


def _decisions(chain: ReleaseChain, labels_sha256: str) -> list[Record[Verdict]]:
    """Verdicts that looked at the rows of a holdout."""
    return [record for record in chain.of(Verdict) if record.entry.body.holdout_sha256 == labels_sha256]


def _share(budget: Budget, holdout: int, place: int) -> float:
    """What decision number `place` + 1 on a holdout spends, whatever passed; one beyond its last, as the last."""
    weight = depth_weight(budget.feedback, budget.decisions, min(place, budget.decisions - 1))
    return holdout_rate(budget, holdout) * weight


def _said(budget: Budget) -> str:
    return f"{budget.rate:g} for {budget.decisions} decisions over a {budget.scope}'s life, feedback {budget.feedback}"
