"""Waivers: a person lets one rule go for one version, for a reason and until a time; verdicts that used one say so.

A waiver changes a verdict that failed or could not decide. It never changes an error: evidence that is missing or was
altered cannot be excused.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta

from lockgate.errors import RefusedError
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Verdict, Waiver
from lockgate.ledger.records import Record


def waived(
    chain: ReleaseChain, version: int, environment: str, now: str, comparing: Container[str] = (), champion: str = ""
) -> dict[str, str]:
    """Rule -> person and reason, of the waivers that hold at `now` (UTC, ISO 8601, milliseconds).

    comparing: the rules that compare with the champion. A waiver of one holds while that champion is served which the
    person saw in the verdict that it is about. champion: digest of the served one's model, "" where nothing is served.
    """
    held = _holding(chain, version, environment, now)
    return {
        record.entry.body.rule: _said(record)
        for record in held
        if record.entry.body.rule not in comparing or _champion_of(chain, record) == champion
    }


def newest(chain: ReleaseChain, version: int, environment: str, now: str) -> int:
    """The number of the newest waiver that holds; 0 when none does."""
    return max((record.sequence for record in _holding(chain, version, environment, now)), default=0)


def numbers(chain: ReleaseChain, version: int) -> list[int]:
    """The places in the chain of all waivers of a version, also of those that hold no more."""
    return [record.sequence for record in chain.of(Waiver, version)]


def waivable(chain: ReleaseChain, version: int, environment: str, rule: str) -> Record[Verdict]:
    """The newest verdict on a version, if this rule keeps it from passing. Raises RefusedError with why not."""
    about = f"version {version} for {environment}"
    verdict = chain.newest(Verdict, version, environment)
    if verdict is None:
        raise RefusedError(f"{about}: found no verdict, expected one that the waiver is about")
    reasons = {reason.rule: reason.outcome for reason in verdict.entry.body.reasons}
    if "error" in reasons.values():
        raise RefusedError(f"{about}: the verdict is an error, and evidence that is missing or altered is never waived")
    if reasons.get(rule) not in ("failed", "inconclusive"):
        raise RefusedError(f"{about}: found {rule} {reasons.get(rule, 'not applied')}, expected failed or inconclusive")
    return verdict


def _holding(chain: ReleaseChain, version: int, environment: str, now: str) -> list[Record[Waiver]]:
    return [record for record in chain.of(Waiver, version, environment) if now < record.entry.body.expires]


def last_day(expires: str) -> str:
    """The last day on which a waiver holds, as the person said it: it ends when that day does."""
    return (datetime.fromisoformat(expires) - timedelta(milliseconds=1)).date().isoformat()


def _champion_of(chain: ReleaseChain, waiver: Record[Waiver]) -> str:
    """Digest of the champion's model in the verdict that a waiver is about; "" where it had none."""
    verdicts = (each for each in chain.of(Verdict) if each.reference == waiver.entry.body.verdict_id)
    return next((each.entry.body.champion.model_sha256 for each in verdicts if each.entry.body.champion), "")


def _said(record: Record[Waiver]) -> str:
    body = record.entry.body
    return f"{body.person} ({record.reference}, until the end of {last_day(body.expires)}: {body.reason})"
