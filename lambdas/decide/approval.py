"""A person's answer to a request for approval.

POST /approval {"model", "version", "environment", "decision": "approve" | "reject", "reason"} and nothing else: who
answers is who signed the request (lambdas.signed), never something in the body. It answers {"message", …}:
- 200 when the answer is recorded;
- 400 when the request is malformed, or a rejection has no reason;
- 403 when the caller is no approver of this environment or has delivered the commit, and for an approval where nobody
  knows the author;
- 404 when nothing waits;
- 409 when the request has expired or is decided, when a newer version that is live has superseded it, or when the
  workflow has ended without the answer.

The same answer by the same person again is the same record, and it wakes the workflow again. Where nothing waits for
what was decided, the workflow may have taken it: Step Functions' own answer may have been lost, or another's answer may
have come first. Then the workflow's status and the ledger say whether it went on.

Event of the schedule: {"action": "wake"}. It wakes every workflow that waits for a request which the ledger says is
decided: this function may have died after it recorded an answer, and nobody need ask again. Answer: {"woken": […]}.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lambdas import shared, signed
from lambdas.signed import AnswerRefusedError, refuse_with
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.promotions import status_of, wake
from lockgate.configuration.persons import Caller, authors_of
from lockgate.ledger.answer import refuse_answer, said_already
from lockgate.ledger.approval import Decision, answered, approvers, decision, deployed_since
from lockgate.ledger.calls import Decide, Recorded
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Approval, ApprovalRequest, Approving, Rejection, Verdict
from lockgate.ledger.records import Entry, Record
from lockgate.ledger.standing import commits

KINDS: dict[str, type[Approval] | type[Rejection]] = {"approve": Approval, "reject": Rejection}
WENT_ON = ("RUNNING", "SUCCEEDED")  # only this function wakes a workflow; else it asks again, or ends badly


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    state_machine_arn: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer(names.DECIDE_FUNCTION, "approval", event, Decide, _take)


def wake_answered() -> dict[str, list[str]]:
    """Nothing in the event is read: what is decided stands in the ledger."""
    store = shared.ledger(shared.settings(Settings).ledger_bucket)
    woken, failed = [], []
    for model in store.models():
        try:
            for request, decided in answered(store.chain(model), shared.timestamp(shared.now())):
                if wake(clients.client("stepfunctions"), request.entry.body.task_token, _decision(decided)):
                    woken.append(request.reference)
        except Exception as error:  # one model's trouble must not keep the others' workflows waiting
            failed.append(f"{model}: {error!r}")
    shared.log("approval", woken=woken, failed=failed)
    if failed:
        raise RuntimeError("; ".join(failed))
    return {"woken": woken}


def _take(call: Decide, caller: Caller) -> Recorded:
    """Record the answer, then wake the workflow if that decided the request."""
    environment = refuse_with(400, lambda: shared.environment(call.environment))
    refuse_with(403, lambda: caller.refuse_unless(environment.approvers, f"approvals of {call.environment}"))
    person = caller.person
    settings = shared.settings(Settings)
    store = shared.ledger(settings.ledger_bucket)
    chain = store.chain(call.model)
    request = chain.newest(ApprovalRequest, call.number, call.environment)
    if request is None:
        raise AnswerRefusedError(404, f"{call.model} {call.number}: nothing waits in {call.environment}")
    kind = KINDS[call.decision]
    entry_id = kind.id(call.number, call.environment, request.sequence, person)
    record: Record[Any] | None = chain.find(entry_id)
    if record is None:
        body = kind(
            person=person,
            user_arn=caller.arn,
            nonce=caller.nonce,
            authors=_refuse(call, chain, request, person),
            reason=call.reason.strip(),
            request=request.reference,
            verdict_id=request.entry.body.verdict_id,
        )
        entry = Entry(entry_id, call.number, call.environment, body)
        record = store.append(call.model, entry, shared.timestamp(shared.now()))
        if record.entry.id != entry_id:
            raise AnswerRefusedError(409, f"this very call was recorded as {record.reference}: ask anew")
        chain = store.chain(call.model)
    commit, served = commits(chain, call.number, call.environment)
    said = Recorded(
        message="recorded",
        record=record.reference,
        decision=call.decision,
        person=person,
        commit=commit,
        live_commit=served,
    )
    decided = decision(chain, request)
    if decided is None:
        count = len(approvers(chain, request))
        return replace(said, message=f"recorded: {count} of {request.entry.body.approvals} approvals")
    if _decision(decided) != call.decision:
        raise AnswerRefusedError(409, said_already(decided))
    if wake(clients.client("stepfunctions"), request.entry.body.task_token, call.decision):
        return said
    name = request.entry.body.execution
    status = status_of(clients.client("stepfunctions"), settings.state_machine_arn, name) if name else None
    if status not in WENT_ON and not deployed_since(store.chain(call.model), request):
        raise AnswerRefusedError(
            409,
            f"recorded as {said.record}, but the workflow waits no more ({name or 'unnamed'}: "
            f"{status or 'not found'}): `lockgate promote` asks again",
        )
    went_on = "recorded; the workflow waits for it no more: it has gone on, or asks again. See `lockgate status`"
    return replace(said, message=went_on)


def _refuse(call: Decide, chain: ReleaseChain, request: Record[ApprovalRequest], person: str) -> tuple[str, ...]:
    """The authors, unless the rule refuses this answer."""
    name = request.entry.body.verdict_id
    verdict = next((record for record in chain.of(Verdict) if record.reference == name), None)
    if verdict is None:
        raise AnswerRefusedError(409, f"{name}: found no such verdict, expected one")
    known, now = shared.tools(), shared.timestamp(shared.now())
    authors = authors_of(chain, verdict, known.account, known.persons, known.promotion[-1])
    refuse_with(409, lambda: refuse_answer(chain, request, call.decision, person, authors, now=now))
    return tuple(sorted({author for author in authors.values() if author}))


def _decision(record: Decision) -> str:
    return "approve" if isinstance(record.entry.body, Approving) else "reject"
