"""What let a release into an environment: a verdict about exactly this one and its approvals, or a break-glass.

It is asked wherever a release begins to serve and wherever that is recorded, and again by `lockgate verify` of the
whole chain. Who can make one of them look away makes no other do so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockgate.ledger.approval import approvers, decision
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Approval, ApprovalRequest, Approving, BreakGlass, Deployment, Verdict
from lockgate.ledger.records import Record
from lockgate.release.parameters import JudgedRelease

JUDGED = ("commit", "package_arn", "image", "model_sha256", "replay_sha256", "policy_sha256")


def why_unreasoned(chain: ReleaseChain, release: JudgedRelease, environment: str) -> str:
    """Why nothing in a chain let a release into an environment; "" where something did."""
    record = chain.referred(release.verdict_id)
    why = why_not_judged(record, release, environment)
    if why or record is None or not isinstance(record.entry.body, Verdict):
        return why
    wanted = record.entry.body.approvals
    if wanted == 0:
        return ""
    about = [request for request in chain.of(ApprovalRequest) if request.entry.body.verdict_id == record.reference]
    for request in about:
        decided = decision(chain, request)
        if decided and isinstance(decided.entry.body, Approving) and len(approvers(chain, request)) >= wanted:
            return ""
    return f"{record.reference}: found no {wanted} approvals of this verdict, expected them"


def why_not_judged(record: Record[Any] | None, release: JudgedRelease, environment: str) -> str:
    """Why a record is not the verdict that let exactly this release in, nor its break-glass; "" where it is."""
    name = release.verdict_id
    expected = f"expected what let version {release.version} into {environment}"
    if record is None or record.reference != name:
        return f"{name}: found no such record, {expected}"
    entry, body = record.entry, record.entry.body
    if not isinstance(body, Verdict | BreakGlass):
        return f"{name}: found {entry.kind}, {expected}"
    if (str(entry.version), entry.environment) != (release.version, environment):
        return f"{name}: found {entry.kind} of version {entry.version} for {entry.environment}, {expected}"
    if isinstance(body, BreakGlass):
        said = [body.package_arn, body.image or release.image, body.model_sha256 or release.model_sha256]
        if said == [release.package_arn, release.image, release.model_sha256]:
            return ""
        return f"{name}: found a break-glass for {', '.join(said)}, {expected}"
    if body.outcome != "passed":
        return f"{name}: found a verdict that is {body.outcome}, {expected}"
    other = [field for field in JUDGED if getattr(body, field) != getattr(release, field)]
    return f"{name}: found a verdict about another {', '.join(other)}, {expected}" if other else ""


def why_not_approved(verdict: Record[Verdict], approvals: Sequence[Record[Any]]) -> str:
    """Why these records are not the approvals that a verdict asks for; "" where they are."""
    persons = {
        each.entry.body.person
        for each in approvals
        if isinstance(each.entry.body, Approval)
        and each.entry.body.verdict_id == verdict.reference
        and (each.entry.version, each.entry.environment) == (verdict.entry.version, verdict.entry.environment)
    }
    wanted = verdict.entry.body.approvals
    if len(persons) >= wanted:
        return ""
    return f"{verdict.reference}: found approvals of {len(persons)} persons, expected {wanted}"


def unreasoned(chain: ReleaseChain) -> list[tuple[Record[Deployment], str]]:
    """Each deployment that succeeded and that nothing before it let in, with why."""
    found = []
    for record in chain.of(Deployment):
        if record.entry.body.outcome == "succeeded":
            why = why_unreasoned(chain.before(record), record.entry.body.release, record.entry.environment)
            if why:
                found.append((record, why))
    return found
