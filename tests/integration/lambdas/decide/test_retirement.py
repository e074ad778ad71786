"""A model is retired under a person's name; whoever calls it is told of before, and its history stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import shared
from lambdas.decide import retirement
from lockgate.ledger.kinds import Body
from tests import records, signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World


def retire(person: str = "grace", role: str = "lockgate-approver", **changes: Any) -> tuple[int, str]:
    arn = f"arn:aws:sts::123456789012:assumed-role/{role}/{person}"
    body = {"model": "income", "reason": "replaced", "cut_off": False, **changes}
    answer = retirement.handler(signed.event(arn, body, "retirement"), None)
    return answer["statusCode"], json.loads(answer["body"])["message"]


def say(body: Body, version: int = 1, environment: str = "dev") -> None:
    said = records.entry(body, version=version, environment=environment)
    shared.ledger("test-ledger").append("income", said, "2026-11-22T00:00:00.000Z")


def test_a_model_that_is_live_nowhere_is_retired_with_who_and_why_as_its_last_record(world: World) -> None:
    say(records.verdict(outcome="failed"), version=3)
    assert retire() == (200, "income is retired by grace (income/2)")
    last = world.records()[-1]
    assert (last["kind"], last["version"], last["environment"]) == ("retirement", 3, "")
    assert (last["body"]["person"], last["body"]["reason"], last["body"]["cut_off"]) == ("grace", "replaced", [])


def test_who_would_be_cut_off_is_said_and_has_to_be_known(world: World) -> None:
    say(records.verdict())
    say(records.deployment())
    status, message = retire()
    assert status == 409
    assert "found live: version 1 in dev, https://service/income; expected nowhere" in message
    assert "--cut-off" in message
    assert len(world.records()) == 2
    assert retire(cut_off=True) == (200, "income is retired by grace (income/3)")
    assert world.records()[-1]["body"]["cut_off"] == ["dev"]


def test_a_model_that_is_retired_again_is_one_record_until_it_has_another_version(world: World) -> None:
    say(records.verdict(outcome="failed"))
    assert retire() == retire(person="dave")
    say(records.verdict(outcome="failed"), version=2)
    assert retire() == (200, "income is retired by grace (income/4)")


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ({"model": "nothing"}, 404, "found 'nothing', expected one that the ledger has a record of"),
        ({"reason": " "}, 400, "reason: found nothing"),
        ({"role": "lockgate-dev-operator"}, 403, "expected a session"),
        ({"person": "mallory"}, 403, "mallory"),
    ],
)
def test_anything_else_is_refused_and_not_recorded(
    world: World, said: dict[str, Any], status: int, message: str
) -> None:
    say(records.verdict(outcome="failed"))
    found = retire(**said)
    assert (found[0], message in found[1]) == (status, True), found
    assert len(world.records()) == 1
