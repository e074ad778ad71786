"""What the records of a chain say about a request for approval: which one is open, and what was decided.

The order of the chain decides: of two persons who answer at once, the first record wins. A chain of releases and
that of infrastructure are read alike.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from lockgate.ledger.chain import Chain, ReleaseChain
from lockgate.ledger.kinds import Answer, ApprovalRequest, Approving, Deployment, Rejecting, Request
from lockgate.ledger.records import Record

Decision: TypeAlias = Record[Approving] | Record[Rejecting]


def approvers(chain: Chain[Any], request: Record[Request]) -> list[str]:
    """The different persons who approved a request, in order."""
    answers = chain.of(Approving)
    return list(dict.fromkeys(each.entry.body.person for each in answers if _answers(each, request)))


def decision(chain: Chain[Any], request: Record[Request]) -> Decision | None:
    """The record that decided a request: the first rejection, or the approval that made enough persons; else None."""
    persons: set[str] = set()
    for answer in chain.of(Answer):
        if not _answers(answer, request):
            continue
        if isinstance(answer.entry.body, Rejecting):
            return answer  # type: ignore[return-value]  # mypy does not narrow a record by its body
        persons.add(answer.entry.body.person)
        if len(persons) >= request.entry.body.approvals:
            return answer  # type: ignore[return-value]
    return None


def answered(chain: ReleaseChain, now: str) -> list[tuple[Record[ApprovalRequest], Decision]]:
    """The newest requests that are decided, each with what decided it, while their workflows may wait for it still.

    A workflow waits no more once its request has expired, and has gone on where a deployment was recorded since.
    """
    found = []
    for request in chain.of(ApprovalRequest):
        if now >= request.entry.body.expires:
            continue
        decided = decision(chain, request)
        newest = chain.newest(ApprovalRequest, request.entry.version, request.entry.environment) is request
        if decided and newest and not deployed_since(chain, request):
            found.append((request, decided))
    return found


def deployed_since(chain: ReleaseChain, request: Record[ApprovalRequest]) -> bool:
    """Whether what a request asked about was deployed after it, well or not."""
    return bool(chain.after(request).of(Deployment, request.entry.version, request.entry.environment))


def _answers(answer: Record[Answer], request: Record[Request]) -> bool:
    return answer.entry.body.request == request.reference
