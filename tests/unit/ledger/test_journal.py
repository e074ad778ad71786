"""What an environment goes back to, what stays away, and what the ledger is told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lockgate import canonical
from lockgate.errors import LedgerError, RefusedError
from lockgate.ledger.journal import (
    Action,
    Asked,
    Ended,
    Fact,
    FactBody,
    Started,
    last,
    open_attempt,
    previous,
    read_fact,
    refuse_if_rolled_back,
    to_ledger,
)
from lockgate.ledger.kinds import Deployment, Ending, Rollback
from lockgate.release.parameters import Release
from tests import records


def release(version: int) -> Release:
    return records.release(version, verdict_id=f"income/{version}")


class ToldJournal(list[Fact[FactBody]]):
    """Facts in the order they are told."""

    def tell(self, token: str, body: FactBody) -> None:
        self.append(Fact(len(self) + 1, "2026-11-21T00:00:00.000Z", token, body))

    def start(self, version: int) -> None:
        self.tell(f"income-{version}-prod", Started(release=release(version), deadline_minutes=60))

    def end(self, version: int, token: str = "", outcome: Ending = "succeeded") -> None:
        body = Ended(outcome=outcome, reason="", url="u", release=release(version))
        self.tell(token or f"income-{version}-prod", body)

    def ask(self, before: int, to: int, token: str, action: Action = "rollback") -> None:
        who = {"person": "olga", "user_arn": "arn", "reason": "too slow", "url": "u"}
        self.tell(token, Asked(**who, action=action, from_=release(before), to=release(to)))


def promoted(*versions: int) -> ToldJournal:
    journal = ToldJournal()
    for version in versions:
        journal.end(version)
    return journal


def test_the_previous_release_is_the_one_promoted_before_the_live_one() -> None:
    assert previous(promoted(1, 2, 3), release(3)) == release(2)


def test_a_live_release_that_the_journal_missed_came_after_all_it_knows() -> None:
    assert previous(promoted(1, 2), release(3)) == release(2)


def test_rolling_back_again_goes_further_back_and_not_forward() -> None:
    journal = promoted(1, 2, 3)
    journal.ask(3, 2, "rollback-1")
    journal.end(2, "rollback-1")
    assert previous(journal, release(2)) == release(1)


def test_what_was_rolled_back_from_is_not_gone_back_to() -> None:
    journal = promoted(1, 2)
    journal.ask(2, 1, "rollback-1")
    journal.end(1, "rollback-1")
    journal.end(3)
    assert previous(journal, release(3)) == release(1)


def test_a_failed_deployment_is_nothing_to_go_back_to() -> None:
    journal = promoted(1)
    journal.end(2, outcome="failed")
    journal.end(3)
    assert previous(journal, release(3)) == release(1)


@pytest.mark.parametrize("versions", [(), (1,)], ids=len)
def test_the_first_release_has_none_before_it(versions: tuple[int, ...]) -> None:
    with pytest.raises(RefusedError, match="version 1 is live, and no release before it is left"):
        previous(promoted(*versions), release(1))


def test_after_the_last_possible_rollback_there_is_nothing_left() -> None:
    journal = promoted(1, 2)
    journal.ask(2, 1, "rollback-1")
    journal.end(1, "rollback-1")
    with pytest.raises(RefusedError, match="no release before it is left"):
        previous(journal, release(1))


def test_a_release_that_was_rolled_back_from_stays_away_and_says_who_and_why() -> None:
    journal = promoted(1, 2)
    journal.ask(2, 1, "rollback-1")
    with pytest.raises(RefusedError, match=r"version 2 was rolled back from .* by olga \(too slow\): .*new verdict"):
        refuse_if_rolled_back(journal, "income/2", "2")
    refuse_if_rolled_back(journal, "income/1", "1")


def test_a_restore_marks_no_release() -> None:
    journal = promoted(1)
    journal.ask(1, 1, "restore-1", "restore")
    refuse_if_rolled_back(journal, "income/1", "1")


def test_the_last_release_is_the_one_that_succeeded_last_whoever_asked_for_it() -> None:
    journal = promoted(1, 2)
    journal.ask(2, 1, "rollback-1")
    journal.end(1, "rollback-1")
    journal.end(3, outcome="failed")
    assert last(journal) == release(1)
    with pytest.raises(RefusedError, match="nothing to restore"):
        last([])


def test_a_fact_is_read_as_it_was_written() -> None:
    journal = promoted(1)
    journal.start(2)
    journal.ask(2, 1, "rollback-1")
    assert [read_fact(fact.to_bytes()) for fact in journal] == journal


FACT = {**json.loads(promoted(1)[0].to_bytes())}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"kind": "deployment"}, "found schema None, expected 'lockgate.journal/1'"),
        ({**FACT, "kind": "wish"}, "found kind 'wish', expected one of started, asked, deployment"),
        ({**FACT, "kind": ["asked"]}, "kind: found ['asked'], expected text"),
        ({**FACT, "sequence": "1"}, "sequence: found '1', expected a whole number"),
        ({key: value for key, value in FACT.items() if key != "token"}, "found no token, expected it"),
        ({**FACT, "more": 1}, "found more, expected no such field"),
        ({**FACT, "body": {}}, "journal entry 1, deployment: found no outcome, reason, release, url, expected it"),
        ({**FACT, "body": {**FACT["body"], "outcome": "perhaps"}}, "outcome: found 'perhaps', expected succeeded or"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_no_fact_is_refused_with_what_is_wrong(document: dict[str, Any], said: str) -> None:
    with pytest.raises(LedgerError, match=re.escape(said)):
        read_fact(canonical.to_bytes(document))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"kind":NaN}'], ids=str)
def test_other_bytes_are_no_fact(data: bytes) -> None:
    with pytest.raises(LedgerError):
        read_fact(data)


def test_the_ledger_is_told_of_a_rollback_under_the_version_that_was_rolled_back_from() -> None:
    journal = promoted(1, 2)
    journal.ask(2, 1, "rollback-1")
    journal.end(1, "rollback-1")
    first, _, asked, ended = to_ledger(journal, "prod")
    assert (first.id, first.version) == ("deployment:1:prod:income-1:succeeded", 1)
    assert (asked.kind, asked.id, asked.version) == ("rollback", "rollback:prod:rollback-1", 2)
    assert isinstance(asked.body, Rollback)
    assert (asked.body.person, asked.body.reason) == ("olga", "too slow")
    assert (asked.body.from_, asked.body.to, asked.body.place) == ("2", "1", 3)
    assert (ended.kind, ended.id) == ("deployment", "deployment:1:prod:rollback-1:succeeded")
    assert isinstance(ended.body, Deployment)
    assert (ended.version, ended.body.place) == (1, 4)


@pytest.mark.parametrize("execution", ["income-1", "income-1-R2"])
def test_a_deployment_has_in_the_ledger_the_id_that_its_workflow_gives(execution: str) -> None:
    journal = ToldJournal()
    journal.end(1, f"{execution}-prod")
    (entry,) = to_ledger(journal, "prod")
    assert entry.id == f"deployment:1:prod:{execution}:succeeded"


def test_what_was_begun_last_and_has_not_ended_is_open() -> None:
    journal = promoted(1)
    assert open_attempt(journal) is None
    journal.start(2)
    assert open_attempt(journal) == journal[-1]
    journal.end(2)
    assert open_attempt(journal) is None


def test_an_attempt_that_another_followed_is_not_open() -> None:
    journal = promoted(1)
    journal.start(2)
    journal.start(3)
    journal.end(3)
    assert open_attempt(journal) is None


def test_the_ledger_learns_of_ends_and_of_what_persons_asked_for_and_not_of_beginnings() -> None:
    journal = ToldJournal()
    journal.start(1)
    journal.end(1)
    assert [entry.kind for entry in to_ledger(journal, "prod")] == ["deployment"]
