"""What the last link would refuse is refused before anything starts and before a person is asked."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.ledger.chain import Chain, ReleaseChain
from lockgate.ledger.journal import Asked, Ended, Fact, Facts
from lockgate.ledger.records import Entry
from lockgate.release.comparison import Reality, serving
from lockgate.release.promotable import as_collected, on_its_way, why_not_promoted
from tests import records

NOW = "2026-01-02T00:00:00.000Z"
WAY = ("dev", "prod")
POLICIES = {"dev": "d" * 64, "prod": "d" * 64}
OUTCOMES = ("failed", "inconclusive", "error")
PASSED = records.entry(records.verdict(), 2)
PASSED_IN_PROD = records.entry(records.verdict(), 2, "prod")


def chain_of(*entries: Entry[Any]) -> ReleaseChain:
    chain: ReleaseChain = Chain("income")
    for entry in entries:
        chain = chain.extended(entry, "2026-01-01T00:00:00.000Z")
    return chain


def why(*entries: Entry[Any], policies: dict[str, str] = POLICIES) -> str:
    return why_not_promoted(chain_of(*entries), 2, WAY, policies, NOW)


def rolled_back(verdict: str) -> Entry[Any]:
    return records.entry(records.rollback(2, 1, verdict_id=verdict), 2, "prod")


def test_what_nobody_judged_and_what_passed_everywhere_may_be_promoted() -> None:
    assert why() == ""
    assert why(PASSED, PASSED_IN_PROD) == ""


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_version_that_was_refused_is_not_started_again(outcome: Any) -> None:
    refused = records.entry(records.verdict(outcome=outcome), 2)
    assert f"version 2 was refused for dev (income/1, {outcome})" in why(refused)
    assert "lockgate explain 2 --env dev" in why(refused)


def test_after_a_waiver_or_under_another_policy_the_gate_decides_anew() -> None:
    refused = records.entry(records.verdict(outcome="failed"), 2)
    waiver = records.entry(records.waiver(expires="2026-02-01T00:00:00.000Z"), 2)
    assert why(refused, waiver) == ""
    assert why(refused, policies={**POLICIES, "dev": "e" * 64}) == ""


def test_a_version_that_was_rolled_back_from_needs_a_new_verdict() -> None:
    said = why(PASSED, PASSED_IN_PROD, rolled_back("income/2"))
    assert "version 2 was rolled back from in prod" in said
    assert "it needs a new verdict: `lockgate deliver" in said
    assert why(PASSED, PASSED_IN_PROD, rolled_back("income/1")) == "", "another verdict's"


def test_a_newer_version_that_is_live_is_not_replaced_by_a_promotion() -> None:
    newer = records.entry(records.deployment("succeeded", 3), 3, "prod")
    said = why(PASSED, PASSED_IN_PROD, newer)
    assert "version 2 was superseded" in said
    assert "`lockgate rollback prod --model income`" in said


def facts(*bodies: tuple[str, Any]) -> Facts:
    return [
        Fact(place, f"2026-01-01T00:0{place}:00.000Z", token, body) for place, (token, body) in enumerate(bodies, 1)
    ]


def ended(version: int) -> Ended:
    return Ended(outcome="succeeded", reason="", url="https://u", release=records.release(version))


BACK = Asked(
    action="rollback",
    person="olga",
    user_arn="arn",
    reason="too slow",
    url="https://u",
    from_=records.release(2, verdict_id="income/2"),
    to=records.release(1),
)


def test_a_rollback_that_only_the_environment_remembers_counts_already() -> None:
    journal = facts(("rollback-1", BACK), ("rollback-1", ended(1)))
    chain = chain_of(PASSED, PASSED_IN_PROD)
    assert [entry.kind for entry in on_its_way(chain, journal, "prod")] == ["rollback", "deployment"]
    collected = as_collected(chain, journal, "prod", NOW)
    assert on_its_way(collected, journal, "prod") == []
    assert "was rolled back from in prod" in why_not_promoted(collected, 2, WAY, POLICIES, NOW)


def reality(version: int | None, status: str = "UPDATE_COMPLETE") -> Reality:
    return Reality(records.release(version) if version else None, status, "d", "d")


def test_what_serves_is_what_the_stack_pins_since_it_began() -> None:
    journal = facts(("income-1-prod", ended(1)), ("income-2-prod", ended(2)), ("income-2-R2-prod", ended(2)))
    found = serving(reality(2), journal)
    assert found is not None
    assert (found.release.version, found.since, found.url) == ("2", "2026-01-01T00:02:00.000Z", "https://u")


def test_while_a_deployment_runs_the_one_before_serves() -> None:
    found = serving(reality(2, "UPDATE_IN_PROGRESS"), facts(("income-1-prod", ended(1))))
    assert found is not None
    assert found.release.version == "1"
    assert serving(reality(1, "UPDATE_IN_PROGRESS"), ()) is None


def test_without_a_stack_or_a_release_nothing_serves() -> None:
    assert serving(None, facts(("income-1-prod", ended(1)))) is None
    assert serving(reality(None), facts(("income-1-prod", ended(1)))) is None


def test_a_release_that_the_journal_does_not_know_has_no_beginning() -> None:
    found = serving(reality(3), facts(("income-1-prod", ended(1))))
    assert found is not None
    assert (found.since, found.url) == (None, "")
