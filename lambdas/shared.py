"""What every handler needs: its settings, the reviewed configuration, the clock, the log and the ledger."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from lockgate import clock
from lockgate.aws import caller_identity
from lockgate.aws.clients import client
from lockgate.aws.ledger import LedgerStore
from lockgate.configuration.environment import Environment, read_environment
from lockgate.configuration.model import NAME
from lockgate.configuration.persons import Caller, caller_of
from lockgate.configuration.tools import Tools, read_tools
from lockgate.errors import ConfigError, ForbiddenError, RefusedError
from lockgate.ledger.calls import read_call
from lockgate.policy.of_model import read_model_policy
from lockgate.policy.rules import Policy
from lockgate.proof import HEADER, Audience, Proved, ProvedCall

ROOT = Path(__file__).resolve().parents[1]
C = TypeVar("C")
Settings = TypeVar("Settings")

logger = logging.getLogger("lockgate")
logger.setLevel(logging.INFO)


def settings(kind: type[Settings]) -> Settings:
    """Environment variables as `kind`, a dataclass of str and int: field ledger_bucket is LEDGER_BUCKET.

    Raises ConfigError for one that is missing, empty or not a number.
    """
    values: dict[str, str | int] = {}
    for field, wanted in get_type_hints(kind).items():
        text = os.environ.get(field.upper(), "")
        try:
            values[field] = wanted(text)
        except ValueError:
            raise ConfigError("environment variables", field.upper(), text, "a whole number") from None
        if not text:
            raise ConfigError("environment variables", field.upper(), "nothing", "a value from the stack")
    return kind(**values)


def tools() -> Tools:
    return read_tools(ROOT / "environments" / "tools.toml")


def environment(name: str) -> Environment:
    """The reviewed configuration of an environment that releases walk through. Raises RefusedError."""
    known = tools().promotion
    if name not in known:
        raise RefusedError(f"environment: found {name!r}, expected one of {', '.join(known)}")
    return read_environment(ROOT / "environments" / f"{name}.toml")


def policy(environment: Environment, model: str) -> Policy:
    """What a version of a model must show for an environment, as it was deployed. Raises RefusedError."""
    folder = ROOT / "model" / model
    if not NAME.fullmatch(model) or not folder.is_dir():
        raise RefusedError(
            f"model: found {model!r}, expected one whose policy was deployed (model/{model}/policy.toml)"
        )
    return read_model_policy(folder).in_environment(environment.name, environment.rules)


def audience(function: str) -> Audience:
    """A function of the tools account, as those who ask it name it in their proofs."""
    known = tools()
    return Audience(known.account, known.region, function)


def proved(event: dict[str, Any], audience: Audience, path: str) -> Proved:
    """Who signed a call of a Function URL: STS says so, of the proof in its header, and nothing else in the event.

    Raises ForbiddenError when the proof is not for this very call, BusyError where STS could not be asked.
    """
    headers = event.get("headers")
    text = headers.get(HEADER, "") if isinstance(headers, dict) else ""
    return caller_identity.caller(str(text), ProvedCall(audience, path, url_body(event)))


def caller(signer: Proved, roles: Callable[[Environment], Sequence[str]]) -> Caller:
    """The person who signed, if a known one in a role that some environment allows; else RefusedError."""
    known = tools()
    allowed = [role for name in known.promotion for role in roles(environment(name))]
    return caller_of(signer, known.account, tuple(dict.fromkeys(allowed)), known.persons)


def session_of(signer: Proved, account: str, role: str) -> str:
    """The name of the session that signed, if it is one of the role; else ForbiddenError."""
    wanted = f"arn:aws:sts::{account}:assumed-role/{role}"
    match = re.fullmatch(re.escape(wanted) + r"/([\w+=,.@-]+)", signer.arn, re.ASCII)
    if not match:
        raise ForbiddenError(f"found {signer.arn}, expected a session of {wanted}/<person>")
    return match[1]


def call_of(event: dict[str, Any], kind: type[C]) -> C:
    """What a Function URL got, as its type. Raises RefusedError when it is something else, or has other fields."""
    return read_call(kind, url_body(event))


def url_body(event: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that a Function URL got. Raises RefusedError when it is something else."""
    text = event.get("body") or ""
    try:
        body = json.loads(base64.b64decode(text) if event.get("isBase64Encoded") else text)
    except ValueError as error:
        raise RefusedError(f"body: found something else ({error}), expected a JSON object") from error
    if not isinstance(body, dict):
        raise RefusedError(f"body: found {body!r}, expected a JSON object")
    return body


def url_answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def now() -> datetime:
    """The one clock of the handlers: UTC."""
    return clock.now()


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC, milliseconds, as records have it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log(message: str, **facts: object) -> None:
    """One JSON line."""
    logger.info(json.dumps({"message": message, **facts}, default=str))


@cache
def ledger(bucket: str) -> LedgerStore:
    """One store a container, so that records already read are not read again."""
    return LedgerStore(client("s3"), bucket)
