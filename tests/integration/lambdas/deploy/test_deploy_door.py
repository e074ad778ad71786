"""The operators' door: only an operator, only a rollback or a restore, with who signed it and why."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import deploy
from lockgate import schema
from lockgate.errors import RefusedError
from lockgate.schema import Document
from tests import signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

ROLE = "arn:aws:sts::123456789012:assumed-role/lockgate-prod-operator"
ASK = {"action": "rollback", "model": "income", "reason": " too slow ", "token": "rollback-0123456789"}
STATUS = {"action": "status", "model": "income", "token": "rollback-0123456789"}


class Acting:
    """Stands in for what the function does: answers what the test wants, or raises it."""

    def __init__(self) -> None:
        self.said: dict[str, Any] | Exception = {"status": "IN_PROGRESS", "from": "2", "to": "1"}
        self.asked: list[dict[str, Any]] = []

    def __call__(self, settings: deploy.Settings, request: Document) -> dict[str, Any]:
        self.asked.append(schema.write(request))
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def acting(world: World, monkeypatch: pytest.MonkeyPatch) -> Acting:
    for field in fields(deploy.Settings):
        monkeypatch.setenv(field.name.upper(), "x")
    monkeypatch.setenv("ENVIRONMENT", "prod")
    monkeypatch.setenv("RELEASE_ROLE_ARN", "arn:aws:iam::123456789012:role/lockgate-prod-release-cfn")
    made = Acting()
    monkeypatch.setattr(deploy, "_act", made)
    return made


def ask(body: object = ASK, arn: str = f"{ROLE}/olga", **more: object) -> tuple[int, dict[str, Any]]:
    answer = deploy.handler({**signed.event(arn, body, "", signed.DEPLOY), **more}, None)
    return answer["statusCode"], json.loads(answer["body"])


def test_a_rollback_names_who_signed_it_and_why(acting: Acting) -> None:
    assert ask() == (200, {"status": "IN_PROGRESS", "from": "2", "to": "1"})
    assert acting.asked == [{**ASK, "reason": "too slow", "person": "olga", "user_arn": f"{ROLE}/olga"}]


def test_asking_how_far_it_is_hands_on_nothing_but_the_token(acting: Acting) -> None:
    assert ask(STATUS)[0] == 200
    assert acting.asked == [STATUS]


def test_a_call_of_the_url_is_no_event_of_the_workflow_whatever_else_is_in_it(acting: Acting) -> None:
    assert ask({**ASK, "action": "start"}, action="start", release={"version": "9"})[0] == 400
    assert ask(action="start", release={"version": "9"})[0] == 200
    assert [event["action"] for event in acting.asked] == ["rollback"]


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:iam::123456789012:user/olga",
        "arn:aws:sts::123456789012:assumed-role/lockgate-dev-operator/olga",
        "arn:aws:sts::999999999999:assumed-role/lockgate-prod-operator/olga",
    ],
)
def test_anybody_else_is_refused(acting: Acting, arn: str) -> None:
    status, body = ask(arn=arn)
    assert status == 403
    assert ("lockgate-prod-operator/<person>" if arn else "found no proof") in body["message"]
    assert acting.asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"action": "start"},
        {"reason": " "},
        {"token": "income-3-prod-0"},
        {"model": "../income"},
        {"release": {"version": "9"}},
        {"person": "amelie"},
    ],
    ids=str,
)
def test_nothing_but_a_rollback_or_a_restore_with_a_reason_goes_through(acting: Acting, change: dict[str, Any]) -> None:
    assert ask({**ASK, **change})[0] == 400
    assert acting.asked == []


def test_what_is_refused_is_said_to_the_operator(acting: Acting) -> None:
    acting.said = {"refused": "no release before it is left"}
    assert ask() == (409, {"message": "no release before it is left"})


def test_what_breaks_is_a_failure_of_the_function_and_no_answer(acting: Acting) -> None:
    acting.said = KeyError("x")
    with pytest.raises(KeyError):
        ask()


def test_an_invocation_past_the_url_is_no_operators_word(acting: Acting) -> None:
    """What the workflow's role, or whoever else may invoke the function, writes into an event names no person."""
    asked = {"person": "olga", "user_arn": f"{ROLE}/olga", "reason": "x", "action": "rollback"}
    with pytest.raises(RefusedError, match="found 'rollback', expected one of start, status, stop, look"):
        deploy.handler({**asked, "model": "income", "token": "rollback-0123456789"}, None)
    assert acting.asked == []
