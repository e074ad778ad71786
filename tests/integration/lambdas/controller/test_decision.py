"""What lets a workflow on after an approval is the ledger's word; a task token that somebody got hold of is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lambdas import shared
from lambdas.controller import decision
from lockgate.errors import RefusedError
from lockgate.ledger import kinds
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

EVENT = {"action": "decision", "model": "income", "version": "1", "environment": "prod", "verdict_id": "income/1"}


def say(body: kinds.Body, entry_id: str = "") -> None:
    said = records.entry(body, version=1, environment="prod", entry_id=entry_id)
    shared.ledger("test-ledger").append("income", said, records.TIME)


def answer(person: str, kind: type[Any] = kinds.Approval) -> None:
    said = {**records.SAID, "person": person}
    say(kind(**said, authors=(), request="income/2", verdict_id="income/1"), person)


@pytest.fixture(autouse=True)
def asked(world: World) -> None:
    say(records.verdict(approvals=2))
    request = {"task_token": "t", "verdict_id": "income/1", "expires": records.TIME, "approvals": 2}
    say(kinds.ApprovalRequest(**request))


def test_a_token_without_a_decision_lets_nothing_on() -> None:
    with pytest.raises(RefusedError, match="nobody let the workflow on"):
        decision.handler(EVENT, None)


def test_too_few_approvals_are_no_decision() -> None:
    answer("bob")
    with pytest.raises(RefusedError, match="found no decision"):
        decision.handler(EVENT, None)


def test_the_approvals_are_named() -> None:
    answer("bob")
    answer("carol")
    assert decision.handler(EVENT, None) == {"decision": "approve", "approvals": "income/3 income/4"}


def test_a_rejection_is_one() -> None:
    answer("bob", kinds.Rejection)
    assert decision.handler(EVENT, None)["decision"] == "reject"


def test_a_decision_about_another_verdict_is_none_about_this() -> None:
    answer("bob")
    answer("carol")
    with pytest.raises(RefusedError, match="income/7: found no decision"):
        decision.handler({**EVENT, "verdict_id": "income/7"}, None)
