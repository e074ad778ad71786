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

from dataclasses import dataclass
from typing import Any

from lambdas import shared, signed
from lambdas.signed import AnswerRefusedError, refuse_with
from lockgate.aws import clients
from lockgate.aws.promotions import status_of, wake
from lockgate.configuration.persons import Caller, authors_of
from lockgate.errors import RefusedError
from lockgate.ledger.answer import refuse_answer, said_already
from lockgate.ledger.approval import Decision, answered, approvers, decision, deployed_since
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Approval, ApprovalRequest, Approving, Rejection, Verdict
from lockgate.ledger.records import Entry, Record

KINDS: dict[str, type[Approval] | type[Rejection]] = {"approve": Approval, "reject": Rejection}
FIELDS = {"model", "version", "environment", "decision", "reason"}
WENT_ON = ("RUNNING", "SUCCEEDED")  # only this function wakes a workflow; else it asks again, or ends badly


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    state_machine_arn: str


@dataclass(frozen=True)
class AnswerRequest:
    """What a person decided about one package version in one environment."""

    model: str
    version: int
    environment: str
    decision: str
    reason: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer("approval", event, FIELDS, lambda body, caller: _take(_read(body), caller))


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


def _read(body: dict[str, Any]) -> AnswerRequest:
    try:
        model, version = shared.model_and_version(body)
        environment = shared.environment(str(body.get("environment"))).name
    except RefusedError as error:
        raise AnswerRefusedError(400, str(error)) from error
    decision, reason = body.get("decision"), body.get("reason", "")
    if not isinstance(decision, str) or decision not in KINDS:
        raise AnswerRefusedError(400, f"decision: found {decision!r}, expected approve or reject")
    if not isinstance(reason, str) or (decision == "reject" and not reason.strip()):
        raise AnswerRefusedError(400, "reason: expected text; a rejection says why")
    return AnswerRequest(model, version, environment, decision, reason.strip())


def _take(answer: AnswerRequest, caller: Caller) -> dict[str, Any]:
    """Record the answer, then wake the workflow if that decided the request."""
    approvers_here = shared.environment(answer.environment).approvers
    refuse_with(403, lambda: caller.refuse_unless(approvers_here, f"approvals of {answer.environment}"))
    person = caller.person
    settings = shared.settings(Settings)
    store = shared.ledger(settings.ledger_bucket)
    chain = store.chain(answer.model)
    request = chain.newest(ApprovalRequest, answer.version, answer.environment)
    if request is None:
        raise AnswerRefusedError(404, f"{answer.model} {answer.version}: nothing waits in {answer.environment}")
    kind = KINDS[answer.decision]
    entry_id = kind.id(answer.version, answer.environment, request.sequence, person)
    record: Record[Any] | None = chain.find(entry_id)
    if record is None:
        body = kind(
            person=person,
            user_arn=caller.arn,
            authors=_refuse(answer, chain, request, person),
            reason=answer.reason,
            request=request.reference,
            verdict_id=request.entry.body.verdict_id,
        )
        entry = Entry(entry_id, answer.version, answer.environment, body)
        record = store.append(answer.model, entry, shared.timestamp(shared.now()))
        chain = store.chain(answer.model)
    said = {"record": record.reference, "decision": answer.decision, "person": person}
    decided = decision(chain, request)
    if decided is None:
        count = len(approvers(chain, request))
        return {"message": f"recorded: {count} of {request.entry.body.approvals} approvals", **said}
    if _decision(decided) != answer.decision:
        raise AnswerRefusedError(409, said_already(decided))
    if wake(clients.client("stepfunctions"), request.entry.body.task_token, answer.decision):
        return {"message": "recorded", **said}
    name = request.entry.body.execution
    status = status_of(clients.client("stepfunctions"), settings.state_machine_arn, name) if name else None
    if status not in WENT_ON and not deployed_since(store.chain(answer.model), request):
        raise AnswerRefusedError(
            409,
            f"recorded as {said['record']}, but the workflow waits no more ({name or 'unnamed'}: "
            f"{status or 'not found'}): `lockgate promote` asks again",
        )
    return {
        "message": "recorded; the workflow waits for it no more: it has gone on, or asks again. See `lockgate status`",
        **said,
    }


def _refuse(
    answer: AnswerRequest, chain: ReleaseChain, request: Record[ApprovalRequest], person: str
) -> tuple[str, ...]:
    """The authors, unless the rule refuses this answer."""
    name = request.entry.body.verdict_id
    verdict = next((record for record in chain.of(Verdict) if record.reference == name), None)
    if verdict is None:
        raise AnswerRefusedError(409, f"{name}: found no such verdict, expected one")
    known, now = shared.tools(), shared.timestamp(shared.now())
    authors = authors_of(chain, verdict, known.account, known.persons)
    refuse_with(409, lambda: refuse_answer(chain, request, answer.decision, person, authors, now=now))
    return tuple(sorted({author for author in authors.values() if author}))


def _decision(record: Decision) -> str:
    return "approve" if isinstance(record.entry.body, Approving) else "reject"
