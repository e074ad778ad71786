"""What was decided about a request for approval, from the ledger: a task token alone lets nothing on.

Event of the workflow, once it was woken: {"action": "decision", "model", "version", "environment", "verdict_id"}.
Answer: {"decision": "approve" | "reject", "approvals": references of the approvals, with spaces between them}.

It raises RefusedError where the ledger has no decision about this verdict: then somebody who is not the function
`decide` has sent the token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate.errors import RefusedError
from lockgate.ledger.approval import decision
from lockgate.ledger.kinds import Approval, ApprovalRequest, Approving
from lockgate.release.workflow import DecisionAsked, read_message


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    asked = read_message(DecisionAsked, event)
    chain = shared.ledger(shared.settings(Settings).ledger_bucket).chain(asked.model)
    requests = [
        request
        for request in chain.of(ApprovalRequest, asked.number, asked.environment)
        if request.entry.body.verdict_id == asked.verdict_id
    ]
    for request in reversed(requests):
        decided = decision(chain, request)
        if decided is None:
            continue
        given = [each.reference for each in chain.of(Approval) if each.entry.body.request == request.reference]
        said = "approve" if isinstance(decided.entry.body, Approving) else "reject"
        shared.log("decision", verdict=asked.verdict_id, decision=said, approvals=given)
        return {"decision": said, "approvals": " ".join(given)}
    raise RefusedError(f"{asked.verdict_id}: found no decision in the ledger, expected one: nobody let the workflow on")
