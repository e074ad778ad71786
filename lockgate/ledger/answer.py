"""Who may answer a request for approval, and when: one rule, for a release and for a change of stacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.configuration.persons import refuse_own, refuse_unknown
from lockgate.errors import RefusedError
from lockgate.ledger.approval import Decision, decision
from lockgate.ledger.chain import Chain
from lockgate.ledger.kinds import ApprovalRequest, Request
from lockgate.ledger.records import Record

OWN_STACKS = ("tools", "anchor")  # no release goes to them


def deciding(place: str, promotion: Sequence[str]) -> str:
    """The environment whose approvers decide about `place`: itself; of tools and anchor the last one's.

    promotion: names of the environments in the order of a promotion.
    """
    return promotion[-1] if place in OWN_STACKS else place


def refuse_answer(
    chain: Chain[Any],
    request: Record[Request],
    answer: str,
    person: str,
    authors: Mapping[str, str | None],
    *,
    now: str,
) -> None:
    """Raises when `person` may not give this answer ("approve" or "reject") to the request.

    authors: who made what is asked for: the name that AWS or GitHub vouches for -> the person, or None for nobody in
    [persons]. Raises RefusedError when the request is decided, has expired, or is about a release that a newer one has
    superseded, which can be rejected and not approved; ForbiddenError for an author, and for an approval of what
    somebody made whom nobody knows, since that may be the approver.
    """
    decided = decision(chain, request)
    if decided:
        raise RefusedError(said_already(decided))
    if isinstance(request.entry.body, ApprovalRequest):
        _refuse_late(chain, request, request.entry.body.expires, answer, now)
    refuse_own(person, authors)
    if answer == "approve":
        refuse_unknown(authors)


def _refuse_late(chain: Chain[Any], request: Record[Any], expires: str, answer: str, now: str) -> None:
    """A request about stacks waits until the next one; one about a release has its time."""
    if now >= expires:
        raise RefusedError(f"the request {request.reference} expired at {expires}: `lockgate promote` asks again")
    served = chain.live(request.entry.environment)
    if answer == "approve" and served and served.entry.version > request.entry.version:
        raise RefusedError(
            f"version {request.entry.version} was superseded: version {served.entry.version} is live in "
            f"{request.entry.environment}; reject it, or let the request expire"
        )


def said_already(record: Decision) -> str:
    """Of an approval or a rejection that decided a request."""
    return f"decided already: {record.entry.kind} by {record.entry.body.person} ({record.reference})"
