"""May these stacks be deployed? Asked by a workflow run before and after, decided by persons in between.

POST /stacks. Who signed the request's proof decides what it may say:
- {"ask": "look" | "begin", "environment", "assembly", "commit", "run"} and {"ask": "end", the same, "outcome":
  "succeeded" | "failed", "reason"} come from the role lockgate-<environment>-infrastructure of a workflow run only. The
  role's trust forces the session's name to be the id of the GitHub account that pushed, who is the author.
- {"ask": "approve" | "reject", "environment", "assembly", "reason"} comes from a known person only, in a role that
  approves releases of the environment. Those of the last environment decide about tools and anchor.

`begin` answers {"state": "live" | "approved" | "waiting" | "rejected", …}. It records a request where persons are asked
for. `look` answers the same, or "unasked", and records nothing: the run compares its commit with what is deployed
before anybody is asked. Refusals are
- 400 when the request is malformed;
- 403 when it is not for this caller, when the caller is the author, or when nobody knows the author;
- 404 when nothing waits;
- 409 when it is decided, when another assembly was asked for since, or when nobody approved the deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from lambdas import shared
from lambdas.signed import AnswerRefusedError, prove, refuse_with
from lockgate import names, schema
from lockgate.configuration.persons import Caller, pushed_by
from lockgate.ledger.answer import OWN_STACKS, deciding, refuse_answer
from lockgate.ledger.approval import approvers, decision
from lockgate.ledger.calls import BeginStacks, DecideOnStacks, EndStacks, LookAtStacks, Recorded, StacksStand, read_call
from lockgate.ledger.chain import StackChain
from lockgate.ledger.infrastructure import commit_live, request_id, standing
from lockgate.ledger.kinds import StackApproval, StackApprovalRequest, StackBody, StackDeployment, StackRejection
from lockgate.ledger.records import Entry, Record
from lockgate.proof import Proved
from lockgate.schema import Document

CALLS: dict[str, type[LookAtStacks] | type[BeginStacks] | type[EndStacks] | type[DecideOnStacks]] = {
    "look": LookAtStacks,
    "begin": BeginStacks,
    "end": EndStacks,
    "approve": DecideOnStacks,
    "reject": DecideOnStacks,
}
KINDS: dict[str, type[StackApproval] | type[StackRejection]] = {"approve": StackApproval, "reject": StackRejection}
LONGEST_REASON = 2000


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    try:
        signer = prove(event, shared.audience(names.DECIDE_FUNCTION), "stacks")
        call = _read(event)
        match call:
            case LookAtStacks() | BeginStacks():
                said: Document = _stand(call, signer)
            case EndStacks():
                said = _end(call, signer)
            case DecideOnStacks():
                said = _decide(call, signer)
            case _:
                assert_never(call)
        status, answer = 200, schema.write(said)
    except AnswerRefusedError as refused:
        status, answer = refused.status, {"message": str(refused)}
    shared.log("stacks", status=status, answer=answer)
    return shared.url_answer(status, answer)


def _read(event: dict[str, Any]) -> LookAtStacks | BeginStacks | EndStacks | DecideOnStacks:
    body = refuse_with(400, lambda: shared.url_body(event))
    kind = CALLS.get(str(body.get("ask")))
    if kind is None:
        raise AnswerRefusedError(400, f"ask: found {body.get('ask')!r}, expected one of {', '.join(sorted(CALLS))}")
    call = refuse_with(400, lambda: read_call(kind, body))
    if call.environment not in (*OWN_STACKS, *shared.tools().promotion):
        raise AnswerRefusedError(400, f"environment: found {call.environment!r}, expected one of this configuration")
    return call


def _author(signer: Proved, environment: str) -> str:
    """The id of the GitHub account whose push this run is."""
    role = names.infrastructure_role(environment)
    return refuse_with(403, lambda: shared.session_of(signer, shared.tools().account, role))


def _person(signer: Proved, environment: str) -> Caller:
    caller = refuse_with(403, lambda: shared.caller(signer, lambda each: each.approvers))
    roles = shared.environment(deciding(environment, shared.tools().promotion)).approvers
    refuse_with(403, lambda: caller.refuse_unless(roles, f"stacks of {environment}"))
    return caller


def _approvals(environment: str) -> int:
    if environment in OWN_STACKS:
        return shared.tools().infrastructure_approvals
    return shared.environment(environment).infrastructure_approvals


def _append(entry_id: str, environment: str, body: StackBody) -> Record[StackBody]:
    entry = Entry(entry_id, 0, environment, body)
    store = shared.ledger(shared.settings(Settings).ledger_bucket)
    return store.append(names.INFRASTRUCTURE_CHAIN, entry, shared.timestamp(shared.now()))


def _chain() -> StackChain:
    return shared.ledger(shared.settings(Settings).ledger_bucket).infrastructure()


def _stand(call: LookAtStacks | BeginStacks, signer: Proved) -> StacksStand:
    environment, assembly = call.environment, call.assembly
    author, approvals, chain = _author(signer, environment), _approvals(environment), _chain()
    found = standing(chain, environment, assembly, approvals)
    if found.state == "unasked" and isinstance(call, BeginStacks):
        asked = StackApprovalRequest(
            assembly=assembly, commit=call.commit, run=call.run, actor_id=author, approvals=approvals
        )
        _append(request_id(chain, environment, assembly), environment, asked)
        chain = _chain()
        found = standing(chain, environment, assembly, approvals)
    request = found.request
    decided = decision(chain, request) if request else None
    return StacksStand(
        state=found.state,
        approvals=approvals,
        deployed=commit_live(chain, environment),
        request=request.reference if request else None,
        approved_by=tuple(approvers(chain, request)) if request else None,
        reason=(decided.entry.body.reason if decided else "") if request else None,
    )


def _end(call: EndStacks, signer: Proved) -> Recorded:
    environment = call.environment
    author, chain = _author(signer, environment), _chain()
    entry_id = StackDeployment.id(environment, call.assembly, call.run)
    if chain.find(entry_id) is None:
        found = standing(chain, environment, call.assembly, _approvals(environment))
        if found.state not in ("approved", "live"):
            raise AnswerRefusedError(
                409, f"{environment}: this assembly is {found.state}: nobody approved to deploy it"
            )
    ended = StackDeployment(
        assembly=call.assembly,
        commit=call.commit,
        run=call.run,
        actor_id=author,
        outcome=call.outcome,
        reason=call.reason[:LONGEST_REASON],
    )
    record = _append(entry_id, environment, ended)
    return Recorded(message=f"recorded as {record.reference}", record=record.reference)


def _decide(call: DecideOnStacks, signer: Proved) -> Recorded:
    environment, kind = call.environment, KINDS[call.ask]
    caller = _person(signer, environment)
    person = caller.person
    chain = _chain()
    request = chain.newest(StackApprovalRequest, environment=environment)
    if request is None:
        raise AnswerRefusedError(404, f"nothing of the stacks of {environment} waits")
    entry_id = kind.id(environment, request.sequence, person)
    if chain.find(entry_id) is None:
        _refuse(chain, request, call, person)
    reason = call.reason.strip()[:LONGEST_REASON]
    answer = kind(person=person, user_arn=caller.arn, nonce=caller.nonce, reason=reason, request=request.reference)
    record = _append(entry_id, environment, answer)
    answers = approvers(_chain(), request)
    count = f": {len(answers)} of {request.entry.body.approvals} approvals" if kind is StackApproval else ""
    return Recorded(message=f"recorded{count}", record=record.reference, decision=call.ask, person=person)


def _refuse(chain: StackChain, request: Record[StackApprovalRequest], call: DecideOnStacks, person: str) -> None:
    asked = request.entry.body
    if asked.assembly != call.assembly:
        raise AnswerRefusedError(
            409, f"{request.entry.environment} waits for assembly {asked.assembly} of commit {asked.commit}"
        )
    authors = {f"GitHub account {asked.actor_id}": pushed_by(asked.actor_id, shared.tools().persons)}
    now = shared.timestamp(shared.now())
    refuse_with(409, lambda: refuse_answer(chain, request, call.ask, person, authors, now=now))
