"""What stands where, read from the ledger's chains: what is live, what was refused, who is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never

from lockgate.ledger.approval import approvers, decision
from lockgate.ledger.break_glass import acknowledgement, ends
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import (
    Acknowledgement,
    Approval,
    ApprovalRequest,
    BreakGlass,
    Deployment,
    Holdout,
    Rejection,
    ReleaseBody,
    Restore,
    Retirement,
    Rollback,
    SnapshotChoice,
    Verdict,
    Waiver,
)
from lockgate.ledger.records import Record
from lockgate.release.parameters import JudgedRelease, Release

Chains = Mapping[str, ReleaseChain]


def live_facts(chain: ReleaseChain, environment: str) -> dict[str, Any] | None:
    """What the ledger says that an environment serves of one model, or None.

    since: when this release began to serve; promoting it once more moves nothing.
    """
    record = chain.live(environment)
    if record is None:
        return None
    deployment, began = record.entry.body, record
    while before := unmoved(chain, began):
        began = before
    release = deployment.release
    return {
        "version": record.entry.version,
        "commit": release.commit,
        "image_digest": release.image.rpartition("@")[2],
        "model_sha256": release.model_sha256,
        "since": began.entry.body.at or began.time,
        "verdict_id": release.verdict_id,
        "break_glass": any(glass.reference == release.verdict_id for glass in chain.of(BreakGlass)),
        "url": deployment.url,
    }


def unmoved(chain: ReleaseChain, record: Record[Deployment]) -> Record[Deployment] | None:
    """The deployment before, where this one brought nothing new: the same release again, and no operator's word."""
    if record.entry.body.outcome != "succeeded" or _operated(chain.before(record), record):
        return None
    before = chain.before(record).live(record.entry.environment)
    return before if before and _judged(before) == _judged(record) else None


def _judged(record: Record[Deployment]) -> JudgedRelease:
    release = record.entry.body.release
    return release.judged if isinstance(release, Release) else release


def seconds_to_traffic(chain: ReleaseChain, record: Record[ReleaseBody]) -> tuple[Record[ReleaseBody], float] | None:
    """How long a release took to all traffic: what let it go, and the seconds from there to its deployment's end.

    What let it go is the last before it of its verdict or break-glass, an approval of it, and an operator's word. None
    for any record but of a deployment that succeeded, and where nothing let it go.
    """
    deployment = record.entry.body
    if not isinstance(deployment, Deployment) or deployment.outcome != "succeeded":
        return None
    if unmoved(chain, record):  # type: ignore[arg-type]  # mypy does not narrow a record by its body
        return None
    version, environment, end = record.entry.version, record.entry.environment, _moment(record)
    before = chain.before(record)
    let_go: list[Record[Any]] = [
        *(each for each in before if each.reference == deployment.release.verdict_id),
        *before.of(Approval, version, environment),
        *_operated(before, record),
    ]
    in_time = [each for each in let_go if _moment(each) <= end]
    if not in_time:
        return None
    last = max(in_time, key=_moment)
    return last, (end - _moment(last)).total_seconds()


def _operated(chain: ReleaseChain, deployment: Record[ReleaseBody]) -> list[Record[Any]]:
    """The operator's word that a deployment answered, if it did: their ids have the same attempt."""
    entry = deployment.entry
    attempt = Deployment.execution_of(entry.id, entry.version, entry.environment, "succeeded")
    words = (chain.find(kind.id(entry.environment, attempt)) for kind in (Rollback, Restore))
    return [word for word in words if word]


def _moment(record: Record[ReleaseBody]) -> datetime:
    """When it happened, where that is known; what an environment did may be recorded later."""
    match record.entry.body:
        case Rollback(at=at) | Restore(at=at):
            return datetime.fromisoformat(at)
        case Deployment(at=ended):
            return datetime.fromisoformat(ended or record.time)
        case Verdict() | ApprovalRequest() | Approval() | Rejection() | Waiver() | Holdout():
            return datetime.fromisoformat(record.time)
        case BreakGlass() | Acknowledgement() | SnapshotChoice() | Retirement():
            return datetime.fromisoformat(record.time)
        case _:
            assert_never(record.entry.body)


def refused(chains: Chains) -> list[dict[str, Any]]:
    """Every version that a gate or a person keeps out of an environment, oldest first.

    What was decided anew since, and what a newer version made idle, is history: `lockgate explain` shows it.
    """
    refusals = []
    for model, chain in chains.items():
        for record in chain:
            reasons = _reasons_against(record)
            if reasons and not _is_history(chain, record):
                where = {"model": model, "version": record.entry.version, "environment": record.entry.environment}
                refusals.append({**where, "reasons": reasons, "time": record.time})
    return sorted(refusals, key=lambda entry: str(entry["time"]))


def _is_history(chain: ReleaseChain, record: Record[ReleaseBody]) -> bool:
    """Whether the version or a newer one is live there, or somebody decided anew about it since."""
    version, environment = record.entry.version, record.entry.environment
    served, after = chain.live(environment), chain.after(record)
    decided = [each for each in after.of(Verdict, version, environment) if each.entry.body.break_glass is None]
    asked = after.of(ApprovalRequest, version, environment)
    return bool(decided or asked or (served is not None and served.entry.version >= version))


def _reasons_against(record: Record[ReleaseBody]) -> list[str]:
    match record.entry.body:
        case Rejection(person=person, reason=reason):
            return [f"rejected by {person}: {reason}"]
        case Verdict(outcome="passed"):
            return []
        case Verdict(reasons=reasons):
            against = [each for each in reasons if each.outcome != "passed"]
            return [f"{each.rule} {each.outcome}: {each.message}" for each in against]
        case ApprovalRequest() | Approval() | Deployment() | Waiver() | Holdout():
            return []
        case Rollback() | Restore() | BreakGlass() | Acknowledgement() | SnapshotChoice() | Retirement():
            return []
        case _:
            assert_never(record.entry.body)


def failed_deployments(chains: Chains) -> list[dict[str, Any]]:
    """Every version whose last deployment to an environment failed, unless a newer one is live there; oldest first."""
    last: dict[tuple[str, str, int], Record[Deployment]] = {}
    for model, chain in chains.items():
        for record in chain.of(Deployment):
            last[model, record.entry.environment, record.entry.version] = record
    failures = []
    for (model, environment, version), record in last.items():
        served = chains[model].live(environment)
        if record.entry.body.outcome == "failed" and (served is None or served.entry.version <= version):
            where = {"model": model, "version": version, "environment": environment}
            failures.append({**where, "reason": record.entry.body.reason, "time": record.time})
    return sorted(failures, key=lambda entry: str(entry["time"]))


def rollbacks(chains: Chains) -> list[dict[str, Any]]:
    """Who took which environment back to what it serves now, as the ledger has it, and why; oldest first.

    Earlier rollbacks are history: `lockgate explain` shows them with the versions that were taken away.
    """
    asked = [
        {
            "model": model,
            "environment": record.entry.environment,
            "from": record.entry.body.from_,
            "to": record.entry.body.to,
            "person": record.entry.body.person,
            "reason": record.entry.body.reason,
            "at": record.entry.body.at,
        }
        for model, chain in chains.items()
        for record in chain.of(Rollback)
        if _brought_what_is_live(chain, record)
    ]
    return sorted(asked, key=lambda entry: str(entry["at"]))


def _brought_what_is_live(chain: ReleaseChain, record: Record[Rollback]) -> bool:
    """Whether nothing else went live there since a rollback, whose own deployment may not be recorded yet."""
    environment, asked = record.entry.environment, record.entry.body
    served = chain.live(environment)
    place = (served.entry.body.place or 0) if served else 0
    newer = [back for back in chain.of(Rollback, environment=environment) if back.entry.body.place > asked.place]
    return not newer and (place < asked.place or (served is not None and str(served.entry.version) == asked.to))


def broken_glass(chains: Chains) -> list[dict[str, Any]]:
    """Every break-glass that nobody else has acknowledged, oldest first."""
    still_open = [
        {
            "record": record.reference,
            "model": model,
            "version": record.entry.version,
            "environment": record.entry.environment,
            "person": record.entry.body.person,
            "reason": record.entry.body.reason,
            "time": record.time,
            "outcome": next((str(end.entry.body.outcome) for end in reversed(ends(chain, record))), None),
        }
        for model, chain in chains.items()
        for record in chain.of(BreakGlass)
        if acknowledgement(chain, record) is None
    ]
    return sorted(still_open, key=lambda entry: str(entry["time"]))


def waiting(chains: Chains, now: str) -> list[dict[str, Any]]:
    """Approval requests that are open: undecided, not expired at `now`, not overtaken by a newer one for the same.

    now: UTC, ISO 8601, as in the records.
    """
    still_open = []
    for model, chain in chains.items():
        for record in chain.of(ApprovalRequest):
            entry = record.entry
            if chain.newest(ApprovalRequest, entry.version, entry.environment) is not record:
                continue
            if decision(chain, record) is None and now < entry.body.expires:
                where = {"model": model, "version": entry.version, "environment": entry.environment}
                facts = {"since": record.time, "expires": entry.body.expires, "approvals": entry.body.approvals}
                still_open.append({**where, **facts, "approved_by": approvers(chain, record)})
    return still_open


def commits(chain: ReleaseChain, version: int, environment: str) -> tuple[str | None, str | None]:
    """The commit of a version that an environment judged, and that of what it serves; None where there is none."""
    verdict, served = chain.newest(Verdict, version, environment), chain.live(environment)
    return (
        verdict.entry.body.commit if verdict else None,
        served.entry.body.release.commit if served else None,
    )
