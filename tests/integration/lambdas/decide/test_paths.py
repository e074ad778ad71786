"""One URL for decisions: the path says which, the signer's role says whether it may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import decide
from tests import signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

ACCOUNT = "123456789012"
PERSONS = ("approval", "waiver", "holdout", "snapshot", "acknowledgement", "retirement")


def say(path: str, role: str, body: object) -> tuple[int, dict[str, Any]]:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/bob"
    answer = decide.handler(signed.event(arn, body, path), None)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture(autouse=True)
def settings(world: World, use: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:lockgate-promotion")
    monkeypatch.setenv("DATA_BUCKET", "test-data")


@pytest.mark.parametrize("path", PERSONS)
@pytest.mark.parametrize(
    "role", ["lockgate-prod-infrastructure", "lockgate-delivery", "lockgate-prod-operator", "lockgate-break-glass"]
)
def test_a_workflow_run_an_operator_and_who_breaks_the_glass_decide_nothing(world: World, path: str, role: str) -> None:
    status, said = say(path, role, {})
    assert (status, "expected a session in account" in said["message"]) == (403, True)
    assert world.records() == []


@pytest.mark.parametrize("ask", ["begin", "end"])
def test_an_approver_cannot_say_that_he_is_a_workflow_run(world: World, ask: str) -> None:
    run = {"environment": "prod", "assembly": "a" * 64, "commit": "c" * 40, "run": "17.1"}
    ending = {"outcome": "succeeded", "reason": ""} if ask == "end" else {}
    status, said = say("stacks", "lockgate-approver", {"ask": ask, **run, **ending})
    assert (status, "lockgate-prod-infrastructure/<person>" in said["message"]) == (403, True)
    assert world.records() == []


def test_a_workflow_run_cannot_approve_its_own_change(world: World) -> None:
    body = {"ask": "approve", "environment": "prod", "assembly": "a" * 64, "reason": "mine"}
    assert say("stacks", "lockgate-prod-infrastructure", body)[0] == 403
    assert world.records() == []


@pytest.mark.parametrize("path", ["", "approve", "approval/..", "break-glass"])
def test_another_path_is_answered_with_those_that_there_are(path: str) -> None:
    status, said = say(path, "lockgate-approver", {})
    assert (status, "expected one of /approval, /waiver" in said["message"]) == (404, True)
