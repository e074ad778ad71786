"""What is said over a Function URL is read as its type, and what makes no sense is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate import schema
from lockgate.errors import RefusedError
from lockgate.ledger.calls import (
    Acknowledge,
    AskStatus,
    BeginStacks,
    BreakTheGlass,
    ChooseSnapshot,
    Decide,
    DecideOnStacks,
    EndStacks,
    LookAtStacks,
    Operate,
    RecordHoldout,
    Waive,
    read_call,
)
from lockgate.schema import Document

VERSION = {"model": "income", "version": "3", "environment": "prod"}
RUN = {"environment": "tools", "assembly": "a" * 64, "commit": "c" * 40, "run": "17.1"}
CALLS = (
    Decide(**VERSION, decision="approve", reason=""),
    Waive(**VERSION, rule="fair", reason="why", expires="2026-12-31"),
    RecordHoldout(model="income", snapshot="6" * 16),
    Acknowledge(model="income", sequence=7, reason="looked at"),
    BreakTheGlass(**VERSION, reason="why", token="a" * 8),
    BeginStacks(ask="begin", **RUN),
    EndStacks(ask="end", **RUN, outcome="failed", reason="why"),
    DecideOnStacks(ask="reject", environment="tools", assembly="a" * 64, reason="why"),
    Operate(action="rollback", model="income", reason="why", token="rollback-12345678"),
    AskStatus(action="status", model="income", token="restore-12345678"),
    LookAtStacks(ask="look", **RUN),
    ChooseSnapshot(model="income", snapshot="6" * 16, reason="why"),
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: type(call).__name__)
def test_each_call_is_heard_as_it_was_said_and_nothing_else_is(call: Document) -> None:
    body = schema.write(call)
    assert read_call(type(call), body) == call
    with pytest.raises(RefusedError, match="body: found person, expected no such field"):
        read_call(type(call), {**body, "person": "grace"})
    for field in body:
        with pytest.raises(RefusedError, match=f"body: found no {field}, expected it"):
            read_call(type(call), {name: value for name, value in body.items() if name != field})


@pytest.mark.parametrize(
    ("call", "change", "said"),
    [
        (CALLS[11], {"reason": " "}, "reason: found nothing, expected text: why, for the record"),
        (CALLS[11], {"snapshot": "newest"}, "snapshot: found 'newest', expected the 16 digits of a snapshot's id"),
        (CALLS[0], {"decision": "maybe"}, "decision: found 'maybe', expected approve or reject"),
        (CALLS[0], {"decision": "reject"}, "expected text; a rejection says why"),
        (CALLS[0], {"model": "../x"}, "model: found '../x', expected a model's name"),
        (CALLS[0], {"version": "03"}, "version: found '03', expected a package version"),
        (CALLS[1], {"reason": " "}, "reason: found nothing, expected text: why"),
        (CALLS[2], {"snapshot": "7"}, "snapshot: found '7', expected the 16 digits"),
        (CALLS[3], {"sequence": "7"}, "sequence: found '7', expected a whole number"),
        (CALLS[3], {"reason": ""}, "expected text: what was found out"),
        (CALLS[4], {"token": "A"}, "token: found 'A', expected 8 to 64 small letters and digits"),
        (CALLS[5], {"assembly": "a"}, "assembly: found 'a', expected 64 hexadecimal digits"),
        (CALLS[5], {"run": "17"}, "run: found '17', expected run id and attempt"),
        (CALLS[6], {"commit": "c"}, "commit: found 'c', expected 40 hexadecimal digits"),
        (CALLS[6], {"outcome": "well"}, "outcome: found 'well', expected succeeded or failed"),
        (CALLS[7], {"reason": "\t"}, "a rejection says why"),
        (CALLS[8], {"token": "income-3-prod"}, "expected rollback-… or restore-…"),
        (CALLS[8], {"action": "start"}, "action: found 'start', expected rollback or restore"),
        (CALLS[9], {"token": "x"}, "expected rollback-… or restore-…"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_makes_no_sense_is_refused(call: Document, change: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_call(type(call), {**schema.write(call), **change})
    assert said in str(refused.value)
