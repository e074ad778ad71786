"""Break-glass: a person puts a version into one environment past its gate and its approvals, and nothing else.

What is skipped is judgement: verdict and approvals. What is never skipped is whether the package, its evidence, its
image and its model data are what they claim to be. It is recorded before anything happens; the deployment's own record,
whose verdict_id names it, or a verdict that is an error, says how it ended; it stays open until another person
acknowledges it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.errors import RefusedError
from lockgate.ledger.approval import reference, referred
from lockgate.ledger.records import Record


def broken(chain: Sequence[Record], name: str, version: int, environment: str) -> Record:
    """The break-glass record that a reference names, while a promotion may lean on it; else RefusedError."""
    found = referred(chain, name)
    wanted = ("break-glass", version, environment)
    if found is None or (found.entry.kind, found.entry.version, found.entry.environment) != wanted:
        raise RefusedError(f"{name}: expected the break-glass of version {version} for {environment}")
    if acknowledgement(chain, found) or any(end.entry.body["outcome"] == "succeeded" for end in ends(chain, found)):
        raise RefusedError(f"{name}: was used or acknowledged already: break the glass again, with a reason")
    return found


def ends(chain: Sequence[Record], glass: Record) -> list[Record]:
    """How a break-glass ended, oldest first: deployments that lean on it, or the error that kept it out."""
    name = reference(glass)
    return [
        record
        for record in chain
        if (record.entry.kind == "deployment" and record.entry.body["release"]["verdict_id"] == name)
        or (record.entry.kind == "verdict" and record.entry.body.get("break_glass") == name)
    ]


def judged(chain: Sequence[Record], deployment: Record) -> Record | None:
    """The verdict that let a deployment through; after a break-glass, the newest that saw its data."""
    leant_on = referred(chain, deployment.entry.body["release"]["verdict_id"])
    if leant_on is None or leant_on.entry.kind != "break-glass":
        return leant_on
    verdicts = (r for r in reversed(chain) if r.entry.kind == "verdict" and r.entry.version == deployment.entry.version)
    return next((record for record in verdicts if record.entry.body["source"]), None)


def acknowledgement(chain: Sequence[Record], glass: Record) -> Record | None:
    """What closed a break-glass, or None while it is open."""
    name = reference(glass)
    return next(
        (r for r in chain if r.entry.kind == "acknowledgement" and r.entry.body["break_glass"] == name),
        None,
    )


def acknowledgeable(chain: Sequence[Record], sequence: int, person: str) -> Record:
    """The open break-glass with this number. Raises RefusedError for anything else, and for who broke the glass."""
    found = chain[sequence - 1] if 0 < sequence <= len(chain) else None
    if found is None or found.entry.kind != "break-glass":
        raise RefusedError(f"record {sequence}: found no break-glass, expected one; `lockgate status` lists those open")
    if found.entry.body["person"] == person:
        raise RefusedError(f"{person} broke the glass: another person has to acknowledge it")
    return found
