"""What stands where, read from the ledger's chains: what is live, what was refused, who is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lockgate.ledger.approval import decision, newest_request, reference
from lockgate.ledger.break_glass import acknowledgement, ends
from lockgate.ledger.records import Record, live

Chains = Mapping[str, Sequence[Record]]


def live_facts(chain: Sequence[Record], environment: str) -> dict[str, Any] | None:
    """What an environment serves of one model, or None."""
    record = live(chain, environment)
    if record is None:
        return None
    release = record.entry.body["release"]
    return {
        "version": record.entry.version,
        "commit": release["commit"],
        "image_digest": release["image"].rpartition("@")[2],
        "model_sha256": release["model_sha256"],
        "since": record.entry.body.get("at", record.time),
        "verdict_id": release["verdict_id"],
        "url": record.entry.body.get("url"),
    }


def seconds_to_traffic(chain: Sequence[Record], record: Record) -> tuple[Record, float] | None:
    """How long a release took to all traffic: what let it go, and the seconds from there to its deployment's end.

    What let it go is the last before it of its verdict or break-glass, an approval of it, and an operator's word. None
    for any record but of a deployment that succeeded, and where nothing let it go.
    """
    entry = record.entry
    if entry.kind != "deployment" or entry.body["outcome"] != "succeeded":
        return None
    operated = {f"{kind}:{entry.environment}:{entry.id.split(':')[3]}" for kind in ("rollback", "restore")}
    end = _moment(record)
    let_go = [
        each
        for each in chain[: record.sequence - 1]
        if _moment(each) <= end
        and (
            reference(each) == entry.body["release"]["verdict_id"]
            or each.entry.id in operated
            or (each.entry.kind, each.entry.version, each.entry.environment)
            == ("approval", entry.version, entry.environment)
        )
    ]
    if not let_go:
        return None
    last = max(let_go, key=_moment)
    return last, (end - _moment(last)).total_seconds()


def _moment(record: Record) -> datetime:
    """When it happened, where that is known; what an environment did may be recorded later."""
    return datetime.fromisoformat(str(record.entry.body.get("at", record.time)))


def refused(chains: Chains) -> list[dict[str, Any]]:
    """Every version that a gate or a person kept out of an environment, oldest first."""
    found = []
    for model, chain in chains.items():
        for record in chain:
            reasons = _reasons_against(record)
            if reasons:
                where = {"model": model, "version": record.entry.version, "environment": record.entry.environment}
                found.append({**where, "reasons": reasons, "time": record.time})
    return sorted(found, key=lambda entry: str(entry["time"]))


def _reasons_against(record: Record) -> list[str]:
    body = record.entry.body
    if record.entry.kind == "rejection":
        return [f"rejected by {body['person']}: {body['reason']}"]
    if record.entry.kind == "verdict" and body["outcome"] != "passed":
        against = [reason for reason in body["reasons"] if reason["outcome"] != "passed"]
        return [f"{reason['rule']} {reason['outcome']}: {reason['message']}" for reason in against]
    return []


def failed_deployments(chains: Chains) -> list[dict[str, Any]]:
    """Every version whose last deployment to an environment failed, unless a newer one is live there; oldest first."""
    last: dict[tuple[str, str, int], Record] = {}
    for model, chain in chains.items():
        for record in chain:
            if record.entry.kind == "deployment":
                last[model, record.entry.environment, record.entry.version] = record
    found = []
    for (model, environment, version), record in last.items():
        served = live(chains[model], environment)
        if record.entry.body["outcome"] == "failed" and (served is None or served.entry.version <= version):
            where = {"model": model, "version": version, "environment": environment}
            found.append({**where, "reason": record.entry.body["reason"], "time": record.time})
    return sorted(found, key=lambda entry: str(entry["time"]))


def rollbacks(chains: Chains) -> list[dict[str, Any]]:
    """Who took which environment back, and why, oldest first."""
    found = [
        {
            "model": model,
            "environment": record.entry.environment,
            **{name: record.entry.body[name] for name in ("from", "to", "person", "reason", "at")},
        }
        for model, chain in chains.items()
        for record in chain
        if record.entry.kind == "rollback"
    ]
    return sorted(found, key=lambda entry: str(entry["at"]))


def broken_glass(chains: Chains) -> list[dict[str, Any]]:
    """Every break-glass that nobody else has acknowledged, oldest first."""
    found = [
        {
            "record": reference(record),
            "model": model,
            "version": record.entry.version,
            "environment": record.entry.environment,
            **{name: record.entry.body[name] for name in ("person", "reason")},
            "time": record.time,
            "outcome": next((str(end.entry.body["outcome"]) for end in reversed(ends(chain, record))), None),
        }
        for model, chain in chains.items()
        for record in chain
        if record.entry.kind == "break-glass" and acknowledgement(chain, record) is None
    ]
    return sorted(found, key=lambda entry: str(entry["time"]))


def waiting(chains: Chains, now: str) -> list[dict[str, Any]]:
    """Approval requests that are open: undecided, not expired at `now`, not overtaken by a newer one for the same.

    now: UTC, ISO 8601, as in the records.
    """
    found = []
    for model, chain in chains.items():
        for record in chain:
            entry = record.entry
            if entry.kind != "approval-request" or newest_request(chain, entry.version, entry.environment) != record:
                continue
            if decision(chain, record) is None and now < entry.body["expires"]:
                where = {"model": model, "version": entry.version, "environment": entry.environment}
                found.append({**where, "since": record.time, "expires": entry.body["expires"]})
    return found


def of_version(chain: Sequence[Record], version: int) -> tuple[Record, ...]:
    return tuple(record for record in chain if record.entry.version == version)
