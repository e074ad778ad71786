"""The door of an environment's operators: go back to the previous release, or restore one that was lost.

A Function URL with IAM authorization: POST {"action": "rollback" | "restore", "model", "reason", "token"}, then
{"action": "status", "model", "token"} until it ended. Who asks is who signed the request, a session of the role
lockgate-<environment>-operator, never something in the body; and no body can name a release.
Answers with what the deploy function answered: 200; 400 malformed, or without a reason; 403 not an operator; 409 not
possible (see "message"). Needs nothing outside this account.

Environment:
    ENVIRONMENT, ACCOUNT    the environment's name and account
    DEPLOY_FUNCTION         name of its deploy function
Calls:
    lambda:InvokeFunction   on DEPLOY_FUNCTION
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.functions import invoke
from lockgate.errors import RefusedError

FIELDS = {"action", "model", "reason", "token"}
TOKEN = re.compile(r"(rollback|restore)-[a-z0-9-]{8,64}", re.ASCII)


@dataclass(frozen=True)
class Settings:
    environment: str
    account: str
    deploy_function: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    try:
        person, arn = shared.session_of(event, settings.account, names.operator_role(settings.environment))
    except RefusedError as error:
        return _answer(403, {"message": str(error)})
    try:
        asked = _read(event)
    except RefusedError as error:
        return _answer(400, {"message": str(error)})
    if asked["action"] != "status":
        asked |= {"person": person, "user_arn": arn}
    try:
        return _answer(200, _deploy(settings.deploy_function, asked))
    except RefusedError as error:
        return _answer(409, {"message": str(error)})


def _read(event: dict[str, Any]) -> dict[str, str]:
    body = shared.url_body(event, FIELDS)
    action, token, reason = (str(body.get(name, "")) for name in ("action", "token", "reason"))
    if action not in ("rollback", "restore", "status"):
        raise RefusedError(f"action: found {action!r}, expected rollback, restore or status")
    if not TOKEN.fullmatch(token):
        raise RefusedError(f"token: found {token!r}, expected rollback-… or restore-…")
    asked = {"action": action, "model": shared.model(body), "token": token}
    if action == "status":
        return asked
    if not reason.strip():
        raise RefusedError("reason: expected text: why, for the record")
    return {**asked, "reason": reason.strip()}


def _deploy(function: str, asked: dict[str, str]) -> dict[str, Any]:
    """What the deploy function says. Raises RefusedError for what it refuses, FunctionError for what it failed at."""
    said = invoke(clients.client("lambda"), function, asked)
    if "refused" in said:
        raise RefusedError(said["refused"])
    return said


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    shared.log("rollback", status=status, answer=body)
    return shared.url_answer(status, body)
