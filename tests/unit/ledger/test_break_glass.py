"""What is said of a break-glass, and whose token it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lockgate.errors import RefusedError
from lockgate.ledger.break_glass import announcement, refuse_unless_said
from lockgate.ledger.kinds import BreakGlass
from lockgate.ledger.records import Entry, Record

SAID = BreakGlass(person="bob", user_arn="arn:bob", reason="prod is down", package_arn="package/2")
GLASS = Record("income", 7, "0" * 64, "2026-11-21T00:00:00.000Z", Entry("break-glass:2:prod:t", 2, "prod", SAID))


def test_everybody_hears_who_broke_the_glass_why_and_how_it_is_closed() -> None:
    subject, text = announcement(GLASS)
    assert subject == "Break-glass: income 2 in prod"
    for part in ("bob puts version 2 of income into prod", "prod is down", "arn:bob", "`lockgate approve income/7`"):
        assert part in text


def test_a_token_that_was_used_for_something_else_is_refused() -> None:
    refuse_unless_said(GLASS, SAID)
    with pytest.raises(RefusedError, match="found the one of income/7"):
        refuse_unless_said(GLASS, replace(SAID, reason="another"))
