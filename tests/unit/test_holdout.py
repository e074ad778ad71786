"""A holdout's budget and waivers, as the ledger's chain has them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockgate.holdout import Usage, tells_authors, usage
from lockgate.ledger import Entry, Kind, Record, next_record
from lockgate.statistics.budget import Budget
from lockgate.waiver import waived

BUDGET = Budget(0.05, "policy", 3, "every-verdict")


def chain(*entries: tuple[Kind, dict[str, Any]]) -> list[Record]:
    made: list[Record] = []
    for number, (kind, body) in enumerate(entries):
        entry = Entry(kind, f"{kind}:{number}", 1, "prod", body)
        made.append(next_record("income", made, entry, "2026-11-22T00:00:00.000Z"))
    return made


def decision(holdout: str | None, outcome: str = "failed") -> tuple[Kind, dict[str, Any]]:
    return "verdict", {"holdout_sha256": holdout, "outcome": outcome}


def test_a_holdout_that_nothing_looked_at_is_whole_and_comes_after_the_others() -> None:
    assert usage([], "a", 2) == Usage(1, 0, 0)
    assert usage(chain(decision("a"), decision("b")), "c", 2) == Usage(3, 0, 0)


def test_decisions_on_a_holdout_are_counted_and_those_that_passed() -> None:
    records = chain(decision("a"), decision("b", "passed"), decision("a", "passed"), decision("a", "error"))
    assert usage(records, "a", 2) == Usage(1, 3, 1)
    assert usage(records, "b", 2) == Usage(2, 1, 1)


def test_the_first_pass_ends_a_holdout_for_every_version_but_the_one_on_its_way_up() -> None:
    budget = Budget(0.05, "holdout", 10, "first-pass")
    records = chain(decision("a"), decision("a", "passed"))  # of version 1
    assert usage(records, "a", 1).level(budget) == 0.05 / 10
    assert usage(records, "a", 2).level(budget) is None
    other_way = usage(records, "a", 1).level(Budget(0.05, "holdout", 10, "every-verdict"))
    assert other_way == usage(records, "a", 2).level(Budget(0.05, "holdout", 10, "every-verdict"))


def test_a_verdict_that_looked_at_no_row_spends_nothing() -> None:
    assert usage(chain(decision(None, "error"), ("deployment", {"outcome": "succeeded"})), "a", 2) == Usage(1, 0, 0)


@given(st.lists(st.sampled_from(["passed", "failed", "inconclusive"]), max_size=5))
def test_a_used_up_holdout_has_no_level_and_any_other_spends_less_than_the_rate(outcomes: list[str]) -> None:
    level = usage(chain(*(decision("a", outcome) for outcome in outcomes)), "a", 2).level(BUDGET)
    if len(outcomes) >= BUDGET.decisions:
        assert level is None
    else:
        assert level is not None
        assert 0 < level < BUDGET.rate


def test_authors_learn_one_bit_at_most() -> None:
    assert [tells_authors("none", passed) for passed in (True, False)] == [False, False]
    assert [tells_authors("first-pass", passed) for passed in (True, False)] == [True, False]
    assert [tells_authors("every-verdict", passed) for passed in (True, False)] == [True, True]


WAIVER = {"rule": "fair", "person": "grace", "reason": "holiday data", "expires": "2026-12-01T00:00:00.000Z"}


def test_a_waiver_holds_for_its_rule_version_and_environment_until_it_expires() -> None:
    records = chain(("waiver", WAIVER))
    said = {"fair": "grace (income/1, until 2026-12-01: holiday data)"}
    assert waived(records, 1, "prod", "2026-11-30T23:59:59.999Z") == said
    assert waived(records, 1, "prod", "2026-12-01T00:00:00.000Z") == {}
    assert waived(records, 2, "prod", "2026-11-23T00:00:00.000Z") == {}
    assert waived(records, 1, "staging", "2026-11-23T00:00:00.000Z") == {}
