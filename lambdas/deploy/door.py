"""The door of an environment's operators: go back to the previous release, or restore one that was lost.

The deploy function's URL with IAM authorization. POST {"action": "rollback" | "restore", "model", "reason", "token"},
then {"action": "status", "model", "token"} until it has ended.

Who asks is who signed the proof of the request (lockgate.proof), a session of the role lockgate-<environment>-operator,
never something else in the event. STS in this region says so, and the door needs nothing outside this account. No body
can name a release: what AWS makes of a call of the URL has the body as text, and none of the fields of a promotion's
event.

It answers what the action answered:
- 200 when the action began, or for a status;
- 400 when the request is malformed or has no reason;
- 403 when the caller is no operator;
- 409 when it is not possible (see "message");
- 503 when STS could not be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lambdas import shared
from lambdas.deploy.place import Settings
from lambdas.signed import AnswerRefusedError, prove, refuse_with
from lockgate import names
from lockgate.ledger.calls import AskStatus, Operate, read_call
from lockgate.proof import Audience
from lockgate.release.workflow import OperatorRequest, StatusRequest


def is_call_of_the_url(event: dict[str, Any]) -> bool:
    return "requestContext" in event


def answer(
    settings: Settings, event: dict[str, Any], act: Callable[[OperatorRequest | StatusRequest], dict[str, Any]]
) -> dict[str, Any]:
    """The HTTP answer: what `act` makes of what an operator asked, or why it is not done."""
    account = settings.release_role_arn.split(":")[4]
    region = shared.environment(settings.environment).region
    audience = Audience(account, region, names.deploy_function(settings.environment))
    try:
        signer = prove(event, audience, "")
        person = refuse_with(403, lambda: shared.session_of(signer, account, names.operator_role(settings.environment)))
        call = refuse_with(400, lambda: _read(event))
    except AnswerRefusedError as refused:
        return _answer(refused.status, {"message": str(refused)})
    said = act(_request(call, person, signer.arn))
    return _answer(409, {"message": said["refused"]}) if "refused" in said else _answer(200, said)


def _read(event: dict[str, Any]) -> Operate | AskStatus:
    body = shared.url_body(event)
    if body.get("action") == "status":
        return read_call(AskStatus, body)
    return read_call(Operate, body)


def _request(call: Operate | AskStatus, person: str, arn: str) -> OperatorRequest | StatusRequest:
    if isinstance(call, AskStatus):
        return StatusRequest(action="status", model=call.model, token=call.token)
    return OperatorRequest(
        action=call.action,
        model=call.model,
        person=person,
        user_arn=arn,
        reason=call.reason.strip(),
        token=call.token,
    )


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    shared.log("rollback", status=status, answer=body)
    return shared.url_answer(status, body)
