"""What may be waived: a rule that keeps a version from passing, by its newest verdict, and never an error."""

from __future__ import annotations

import pytest

from lockgate.errors import RefusedError
from lockgate.gate.waiver import newest, waivable, waived
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Served
from tests import records

NOW = "2026-11-22T00:00:00.000Z"


def chain(*verdicts: dict[str, str]) -> ReleaseChain:
    """Verdicts on version 1 for prod, oldest first: rule -> outcome."""
    reasons = (tuple(records.reason(rule, outcome) for rule, outcome in each.items()) for each in verdicts)
    return records.chain_of(*(records.entry(records.verdict(reasons=each), 1, "prod") for each in reasons))


@pytest.mark.parametrize("outcome", ["failed", "inconclusive"])
def test_a_rule_that_keeps_a_version_from_passing_can_be_waived(outcome: str) -> None:
    verdicts = chain({"fair": outcome, "good": "passed"})
    assert waivable(verdicts, 1, "prod", "fair").sequence == 1


def test_the_newest_verdict_counts() -> None:
    verdicts = [{"fair": "failed"}, {"fair": "passed"}, {"fair": "inconclusive"}]
    assert waivable(chain(*verdicts), 1, "prod", "fair").sequence == 3
    with pytest.raises(RefusedError, match="found fair passed"):
        waivable(chain(*verdicts[:2]), 1, "prod", "fair")


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ({"good": "failed"}, "found fair not applied, expected failed or inconclusive"),
        ({"fair": "failed", "evidence": "error"}, "never waived"),
        ({"fair": "error"}, "never waived"),
    ],
)
def test_a_rule_that_was_not_applied_or_an_error_cannot_be_waived(outcomes: dict[str, str], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        waivable(chain(outcomes), 1, "prod", "fair")


@pytest.mark.parametrize(("version", "environment"), [(2, "prod"), (1, "dev")])
def test_a_version_without_a_verdict_there_has_nothing_to_waive(version: int, environment: str) -> None:
    with pytest.raises(RefusedError, match="found no verdict"):
        waivable(chain({"fair": "failed"}), version, environment, "fair")


def test_the_newest_waiver_that_holds_is_found_and_none_is_zero() -> None:
    days = ("2026-12-01", "2026-12-02", "2026-11-01")
    waivers = (records.waiver("fair", reason="r", expires=f"{day}T00:00:00.000Z") for day in days)
    made = records.chain_of(*(records.entry(body, 1, "prod") for body in waivers))
    assert newest(made, 1, "prod", NOW) == 2
    assert newest(made, 1, "prod", "2026-12-01T12:00:00.000Z") == 2
    assert newest(made, 1, "prod", "2026-12-03T00:00:00.000Z") == 0
    assert newest(made, 1, "dev", NOW) == newest(made, 2, "prod", NOW) == 0
    assert waived(made, 1, "prod", NOW) == {"fair": "grace (income/2, until the end of 2026-12-01: r)"}


def test_a_waiver_of_a_comparison_holds_for_the_champion_that_the_person_saw_and_no_other_one() -> None:
    served = Served(version=1, model_sha256="a" * 64, image="i", since=NOW)
    verdicts = [records.verdict(champion=served), records.verdict()]
    waivers = [records.waiver("better", verdict_id="income/1"), records.waiver("better", verdict_id="income/2")]
    for verdict, waiver, champion in zip(verdicts, waivers, ("a" * 64, ""), strict=True):
        other = records.entry(records.verdict(), 7, "prod")
        entries = [other] if waiver.verdict_id == "income/2" else []
        made = records.chain_of(*entries, records.entry(verdict, 1, "prod"), records.entry(waiver, 1, "prod"))
        assert list(waived(made, 1, "prod", NOW, ["better"], champion)) == ["better"]
        assert waived(made, 1, "prod", NOW, ["better"], "b" * 64) == {}
        assert list(waived(made, 1, "prod", NOW, ["fair"], "b" * 64)) == ["better"], "it compares with nobody"
