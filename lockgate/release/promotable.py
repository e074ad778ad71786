"""Whether a promotion of a version can lead anywhere, before one starts and before a person is asked to approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lockgate.gate.waiver import newest as newest_waiver
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.journal import Facts, to_ledger
from lockgate.ledger.kinds import ReleaseBody, Rollback, Verdict
from lockgate.ledger.records import Entry, Record
from lockgate.release.advice import deliver_again


def on_its_way(chain: ReleaseChain, journal: Facts, environment: str) -> list[Entry[ReleaseBody]]:
    """What an environment remembers and the ledger does not know yet, in order."""
    return [entry for entry in to_ledger(journal, environment) if not chain.find(entry.id)]


def as_collected(chain: ReleaseChain, journal: Facts, environment: str, now: str) -> ReleaseChain:
    """The chain as it will be once what is on its way has come; to look at, never to keep."""
    for entry in on_its_way(chain, journal, environment):
        chain = chain.extended(entry, now)
    return chain


def why_not_promoted(
    chain: ReleaseChain, version: int, environments: Sequence[str], policies: Mapping[str, str], now: str
) -> str:
    """Why a promotion of a version would end before it moves anything; "" where it may go on.

    It is asked before a promotion starts and before a person is asked to approve. What the ledger knows decides: the
    records of the environments' journals belong in the chain, too.

    environments: the way of a promotion, in order. policies: digest of each one's policy of the model; under another
    policy than a verdict's, and after a waiver, the gate decides anew.
    """
    for environment in environments:
        served = chain.live(environment)
        if served and served.entry.version > version:
            return (
                f"version {version} was superseded: the ledger says that version {served.entry.version} is live in "
                f"{environment}; going back is `lockgate rollback {environment} --model {chain.model}`, never a "
                "promotion"
            )
        judged = [each for each in chain.of(Verdict, version, environment) if each.entry.body.break_glass is None]
        if not judged or judged[-1].entry.body.policy_sha256 != policies[environment]:
            return ""
        verdict = judged[-1]
        if newest_waiver(chain, version, environment, now) > verdict.sequence:
            return ""
        if verdict.entry.body.outcome != "passed":
            return (
                f"version {version} was refused for {environment} ({verdict.reference}, {verdict.entry.body.outcome}), "
                f"and the same verdict holds: `lockgate explain {version} --env {environment} --model "
                f"{chain.model}` says why; a waiver (`lockgate waive`) or a new version goes on"
            )
        if back := rolled_back_from(chain, verdict.reference, environment):
            said = back.entry.body
            return (
                f"version {version} was rolled back from in {environment} at {said.at} by {said.person} "
                f"({said.reason}): it needs a new verdict: {deliver_again(verdict.entry.body.commit)}"
            )
    return ""


def rolled_back_from(chain: ReleaseChain, verdict_id: str, environment: str) -> Record[Rollback] | None:
    """The rollback that took away what this verdict had let through."""
    backs = chain.of(Rollback, environment=environment)
    return next((back for back in backs if back.entry.body.verdict_id == verdict_id), None)
