"""What may be waived: a rule that keeps a version from passing, by its newest verdict, and never an error."""

from __future__ import annotations

import pytest

from lockgate.errors import RefusedError
from lockgate.gate.waiver import newest, waivable, waived
from lockgate.ledger.records import Entry, Record, next_record

NOW = "2026-11-22T00:00:00.000Z"


def chain(*verdicts: dict[str, str]) -> list[Record]:
    """Verdicts on version 1 for prod, oldest first: rule -> outcome."""
    made: list[Record] = []
    for number, outcomes in enumerate(verdicts):
        reasons = [{"rule": rule, "outcome": outcome} for rule, outcome in outcomes.items()]
        made.append(next_record("income", made, Entry("verdict", str(number), 1, "prod", {"reasons": reasons}), NOW))
    return made


@pytest.mark.parametrize("outcome", ["failed", "inconclusive"])
def test_a_rule_that_keeps_a_version_from_passing_can_be_waived(outcome: str) -> None:
    records = chain({"fair": outcome, "good": "passed"})
    assert waivable(records, 1, "prod", "fair") == records[0]


def test_the_newest_verdict_counts() -> None:
    records = chain({"fair": "failed"}, {"fair": "passed"}, {"fair": "inconclusive"})
    assert waivable(records, 1, "prod", "fair") == records[2]
    with pytest.raises(RefusedError, match="found fair passed"):
        waivable(records[:2], 1, "prod", "fair")


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
    made: list[Record] = []
    for number, expires in enumerate(["2026-12-01", "2026-12-02", "2026-11-01"]):
        body = {"rule": "fair", "person": "grace", "reason": "r", "expires": f"{expires}T00:00:00.000Z"}
        made.append(next_record("income", made, Entry("waiver", str(number), 1, "prod", body), NOW))
    assert newest(made, 1, "prod", NOW) == 2
    assert newest(made, 1, "prod", "2026-12-01T12:00:00.000Z") == 2
    assert newest(made, 1, "prod", "2026-12-03T00:00:00.000Z") == 0
    assert newest(made, 1, "dev", NOW) == newest(made, 2, "prod", NOW) == 0
    assert waived(made, 1, "prod", NOW) == {"fair": "grace (income/2, until 2026-12-02: r)"}
