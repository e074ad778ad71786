"""Break-glass: a person puts a version into one environment past its gate and its approvals, and nothing else.

What is skipped is judgement: verdict and approvals. What is never skipped is whether the package, its evidence, its
image and its model data are what they claim to be.

It is recorded before anything happens. The deployment's own record, whose verdict_id names it, says how it ended; so
does a verdict that is an error. It stays open until another person acknowledges it.
"""

from __future__ import annotations

from dataclasses import replace

from lockgate.errors import RefusedError
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Acknowledgement, BreakGlass, Deployment, Verdict
from lockgate.ledger.records import Record


def broken(chain: ReleaseChain, name: str, version: int, environment: str) -> Record[BreakGlass]:
    """The break-glass record that a reference names, while a promotion may lean on it; else RefusedError."""
    glass = next((each for each in chain.of(BreakGlass, version, environment) if each.reference == name), None)
    if glass is None:
        raise RefusedError(f"{name}: expected the break-glass of version {version} for {environment}")
    if acknowledgement(chain, glass) or any(end.entry.body.outcome == "succeeded" for end in ends(chain, glass)):
        raise RefusedError(f"{name}: was used or acknowledged already: break the glass again, with a reason")
    return glass


def refuse_unless_said(glass: Record[BreakGlass], said: BreakGlass) -> None:
    """Raises RefusedError where the record that has the token says something else than its caller says now."""
    if replace(glass.entry.body, nonce=said.nonce) != said:  # the same token may be asked for with another proof
        raise RefusedError(f"token: found the one of {glass.reference}, expected a new one")


def announcement(glass: Record[BreakGlass]) -> tuple[str, str]:
    """What everybody hears of a break-glass: subject and text, with who did it, why, and how it is closed."""
    entry, said = glass.entry, glass.entry.body
    subject = f"Break-glass: {glass.model} {entry.version} in {entry.environment}"
    text = (
        f"{said.person} puts version {entry.version} of {glass.model} into {entry.environment} past its gate and "
        f"approvals: {said.reason}\n\nRecord {glass.reference}, by {said.user_arn}. It stays open in `lockgate status` "
        f"until somebody else runs `lockgate approve {glass.reference}`."
    )
    return subject, text


def ends(chain: ReleaseChain, glass: Record[BreakGlass]) -> list[Record[Deployment | Verdict]]:
    """How a break-glass ended, oldest first: deployments that lean on it, or the error that kept it out."""
    name = glass.reference
    deployments = [each for each in chain.of(Deployment) if each.entry.body.release.verdict_id == name]
    verdicts = [each for each in chain.of(Verdict) if each.entry.body.break_glass == name]
    return sorted([*deployments, *verdicts], key=lambda record: record.sequence)


def judged(chain: ReleaseChain, deployment: Record[Deployment]) -> Record[Verdict] | None:
    """The verdict that let a deployment through; after a break-glass, the newest that saw its data."""
    name, version = deployment.entry.body.release.verdict_id, deployment.entry.version
    verdict = next((each for each in chain.of(Verdict) if each.reference == name), None)
    if verdict or not any(each.reference == name for each in chain.of(BreakGlass)):
        return verdict
    return next((each for each in reversed(chain.of(Verdict, version)) if each.entry.body.source), None)


def acknowledgement(chain: ReleaseChain, glass: Record[BreakGlass]) -> Record[Acknowledgement] | None:
    """What closed a break-glass, or None while it is open."""
    closing = (each for each in chain.of(Acknowledgement) if each.entry.body.break_glass == glass.reference)
    return next(closing, None)


def acknowledgeable(chain: ReleaseChain, sequence: int, person: str) -> Record[BreakGlass]:
    """The open break-glass with this number. Raises RefusedError for anything else, and for who broke the glass."""
    glass = next((each for each in chain.of(BreakGlass) if each.sequence == sequence), None)
    if glass is None:
        raise RefusedError(f"record {sequence}: found no break-glass, expected one; `lockgate status` lists those open")
    if glass.entry.body.person == person:
        raise RefusedError(f"{person} broke the glass: another person has to acknowledge it")
    return glass
