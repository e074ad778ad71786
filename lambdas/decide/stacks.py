"""May these stacks be deployed? Asked by a workflow run before and after, decided by persons in between.

POST /stacks. Who signed the request decides what it may say:
- {"ask": "begin", "environment", "assembly", "commit", "run"} and {"ask": "end", the same, "outcome": "succeeded" |
  "failed", "reason"} come from the role lockgate-<environment>-infrastructure of a workflow run only. The role's trust
  forces the session's name to be the id of the GitHub account that pushed, who is the author.
- {"ask": "approve" | "reject", "environment", "assembly", "reason"} comes from a known person only, in a role that
  approves releases of the environment. Those of the last environment decide about tools and anchor.

`begin` answers {"state": "live" | "approved" | "waiting" | "rejected", …}. It records a request where persons are asked
for. Refusals are
- 400 when the request is malformed;
- 403 when it is not for this caller, when the caller is the author, or when nobody knows the author;
- 404 when nothing waits;
- 409 when it is decided, when another assembly was asked for since, or when nobody approved the deployment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lambdas.signed import AnswerRefusedError, refuse_with
from lockgate import names
from lockgate.configuration.persons import Caller, pushed_by
from lockgate.ledger.answer import OWN_STACKS, deciding, refuse_answer
from lockgate.ledger.approval import approvers, decision
from lockgate.ledger.chain import StackChain
from lockgate.ledger.infrastructure import live, request_id, standing
from lockgate.ledger.kinds import StackApproval, StackApprovalRequest, StackBody, StackDeployment, StackRejection
from lockgate.ledger.records import Entry, Record

RUN = {"ask", "environment", "assembly", "commit", "run"}
DECISION = {"ask", "environment", "assembly", "reason"}
FIELDS = {"begin": RUN, "end": RUN | {"outcome", "reason"}, "approve": DECISION, "reject": DECISION}
KINDS: dict[str, type[StackApproval] | type[StackRejection]] = {"approve": StackApproval, "reject": StackRejection}
FORMS = {
    "assembly": (re.compile(r"[0-9a-f]{64}"), "64 hexadecimal digits"),
    "commit": (re.compile(r"[0-9a-f]{40}"), "40 hexadecimal digits"),
    "run": (re.compile(r"[0-9]{1,20}\.[0-9]{1,6}"), "run id and attempt, such as 17.1"),
    "outcome": (re.compile(r"succeeded|failed"), "succeeded or failed"),
}
LONGEST_REASON = 2000


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    try:
        body = _body(event)
        status, answer = 200, ASKS[body["ask"]](body, event)
    except AnswerRefusedError as refused:
        status, answer = refused.status, {"message": str(refused)}
    shared.log("stacks", status=status, answer=answer)
    return shared.url_answer(status, answer)


def _body(event: dict[str, Any]) -> dict[str, str]:
    body = refuse_with(400, lambda: shared.url_body(event, {*RUN, "outcome", "reason"}))
    ask = body.get("ask")
    if ask not in FIELDS:
        raise AnswerRefusedError(400, f"ask: found {ask!r}, expected one of {', '.join(sorted(FIELDS))}")
    if set(body) != FIELDS[ask] or not all(isinstance(value, str) for value in body.values()):
        raise AnswerRefusedError(400, f"body: expected texts {', '.join(sorted(FIELDS[ask]))} and nothing else")
    for field, (form, expected) in FORMS.items():
        if field in body and not form.fullmatch(body[field]):
            raise AnswerRefusedError(400, f"{field}: found {body[field]!r}, expected {expected}")
    if body["environment"] not in (*OWN_STACKS, *shared.tools().promotion):
        raise AnswerRefusedError(400, f"environment: found {body['environment']!r}, expected one of this configuration")
    return body


def _author(event: dict[str, Any], environment: str) -> str:
    """The id of the GitHub account whose push this run is."""
    role = names.infrastructure_role(environment)
    return refuse_with(403, lambda: shared.session_of(event, shared.tools().account, role))[0]


def _person(event: dict[str, Any], environment: str) -> Caller:
    caller = refuse_with(403, lambda: shared.caller(event, lambda each: each.approvers))
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


def _begin(body: dict[str, str], event: dict[str, Any]) -> dict[str, Any]:
    environment, assembly = body["environment"], body["assembly"]
    author, approvals, chain = _author(event, environment), _approvals(environment), _chain()
    found = standing(chain, environment, assembly, approvals)
    if found.state == "unasked":
        asked = StackApprovalRequest(
            assembly=assembly, commit=body["commit"], run=body["run"], actor_id=author, approvals=approvals
        )
        _append(request_id(chain, environment, assembly), environment, asked)
        chain = _chain()
        found = standing(chain, environment, assembly, approvals)
    answer: dict[str, Any] = {"state": found.state, "approvals": approvals}
    if found.request:
        decided = decision(chain, found.request)
        answer["request"] = found.request.reference
        answer["approved_by"] = approvers(chain, found.request)
        answer["reason"] = decided.entry.body.reason if decided else ""
    deployed = live(chain, environment)
    return {**answer, "deployed": deployed.entry.body.commit if deployed else None}


def _end(body: dict[str, str], event: dict[str, Any]) -> dict[str, Any]:
    environment = body["environment"]
    author, chain = _author(event, environment), _chain()
    entry_id = StackDeployment.id(environment, body["assembly"], body["run"])
    if chain.find(entry_id) is None:
        found = standing(chain, environment, body["assembly"], _approvals(environment))
        if found.state not in ("approved", "live"):
            raise AnswerRefusedError(
                409, f"{environment}: this assembly is {found.state}: nobody approved to deploy it"
            )
    ended = StackDeployment(
        assembly=body["assembly"],
        commit=body["commit"],
        run=body["run"],
        actor_id=author,
        outcome="succeeded" if body["outcome"] == "succeeded" else "failed",
        reason=body["reason"][:LONGEST_REASON],
    )
    record = _append(entry_id, environment, ended)
    return {"message": f"recorded as {record.reference}", "record": record.reference}


def _decide(body: dict[str, str], event: dict[str, Any]) -> dict[str, Any]:
    environment, kind = body["environment"], KINDS[body["ask"]]
    caller = _person(event, environment)
    person = caller.person
    if kind is StackRejection and not body["reason"].strip():
        raise AnswerRefusedError(400, "reason: expected text; a rejection says why")
    chain = _chain()
    request = chain.newest(StackApprovalRequest, environment=environment)
    if request is None:
        raise AnswerRefusedError(404, f"nothing of the stacks of {environment} waits")
    entry_id = kind.id(environment, request.sequence, person)
    if chain.find(entry_id) is None:
        _refuse(chain, request, body, person)
    reason = body["reason"].strip()[:LONGEST_REASON]
    answer = kind(person=person, user_arn=caller.arn, reason=reason, request=request.reference)
    record = _append(entry_id, environment, answer)
    answers = approvers(_chain(), request)
    count = f": {len(answers)} of {request.entry.body.approvals} approvals" if kind is StackApproval else ""
    return {"message": f"recorded{count}", "record": record.reference, "decision": body["ask"], "person": person}


def _refuse(chain: StackChain, request: Record[StackApprovalRequest], body: dict[str, str], person: str) -> None:
    asked = request.entry.body
    if asked.assembly != body["assembly"]:
        raise AnswerRefusedError(
            409, f"{request.entry.environment} waits for assembly {asked.assembly} of commit {asked.commit}"
        )
    authors = {f"GitHub account {asked.actor_id}": pushed_by(asked.actor_id, shared.tools().persons)}
    now = shared.timestamp(shared.now())
    refuse_with(409, lambda: refuse_answer(chain, request, body["ask"], person, authors, now=now))


ASKS = {"begin": _begin, "end": _end, "approve": _decide, "reject": _decide}
