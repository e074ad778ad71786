"""What an environment goes back to, what stays away, and what the ledger is told."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from lockgate.errors import LedgerError, RefusedError
from lockgate.ledger.journal import Fact, last, open_attempt, previous, read_fact, refuse_if_rolled_back, to_ledger
from lockgate.release.parameters import Release


def release(version: int) -> Release:
    return Release(
        version=str(version),
        commit="c" * 40,
        package_arn=f"package/{version}",
        image="r@sha256:" + "a" * 64,
        model_sha256="b" * 64,
        model_version_id="v",
        replay_sha256="e" * 64,
        policy_sha256="d" * 64,
        verdict_id=f"income/{version}",
    )


class Journal(list[Fact]):
    """Facts in the order they are told."""

    def tell(self, kind: Any, token: str, **body: Any) -> None:
        self.append(Fact(len(self) + 1, "2026-11-21T00:00:00.000Z", kind, token, body))

    def end(self, version: int, token: str = "", outcome: str = "succeeded") -> None:
        token = token or f"income-{version}-prod"
        self.tell("deployment", token, outcome=outcome, reason="", url="u", release=asdict(release(version)))

    def ask(self, before: int, to: int, token: str, action: str = "rollback") -> None:
        who = {"person": "olga", "user_arn": "arn", "reason": "too slow", "url": "u"}
        self.tell("asked", token, action=action, **who, **{"from": asdict(release(before))}, to=asdict(release(to)))


def promoted(*versions: int) -> Journal:
    journal = Journal()
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
    journal.ask(2, 1, "rollback-1")
    assert [read_fact(fact.to_bytes()) for fact in journal] == journal


def test_other_bytes_are_no_fact() -> None:
    with pytest.raises(LedgerError, match=r"lockgate\.journal/1"):
        read_fact(b'{"kind":"deployment"}')


def test_the_ledger_is_told_of_a_rollback_under_the_version_that_was_rolled_back_from() -> None:
    journal = promoted(1, 2)
    journal.ask(2, 1, "rollback-1")
    journal.end(1, "rollback-1")
    first, _, asked, ended = to_ledger(journal, "prod")
    assert (first.id, first.version) == ("deployment:1:prod:income-1:succeeded", 1)
    assert (asked.kind, asked.id, asked.version) == ("rollback", "rollback:prod:rollback-1", 2)
    assert (asked.body["person"], asked.body["reason"]) == ("olga", "too slow")
    assert (asked.body["from"], asked.body["to"], asked.body["place"]) == ("2", "1", 3)
    assert (ended.kind, ended.id) == ("deployment", "deployment:1:prod:rollback-1:succeeded")
    assert (ended.version, ended.body["place"]) == (1, 4)


@pytest.mark.parametrize("execution", ["income-1", "income-1-R2"])
def test_a_deployment_has_in_the_ledger_the_id_that_its_workflow_gives(execution: str) -> None:
    journal = Journal()
    journal.end(1, f"{execution}-prod")
    (entry,) = to_ledger(journal, "prod")
    assert entry.id == f"deployment:1:prod:{execution}:succeeded"


def test_what_was_begun_last_and_has_not_ended_is_open() -> None:
    journal = promoted(1)
    assert open_attempt(journal) is None
    journal.tell("started", "income-2-prod", release=asdict(release(2)))
    assert open_attempt(journal) == journal[-1]
    journal.end(2)
    assert open_attempt(journal) is None


def test_an_attempt_that_another_followed_is_not_open() -> None:
    journal = promoted(1)
    journal.tell("started", "income-2-prod", release=asdict(release(2)))
    journal.tell("started", "income-3-prod", release=asdict(release(3)))
    journal.end(3)
    assert open_attempt(journal) is None


def test_the_ledger_learns_of_ends_and_of_what_persons_asked_for_and_not_of_beginnings() -> None:
    journal = Journal()
    journal.tell("started", "income-1-prod", release=asdict(release(1)))
    journal.end(1)
    assert [entry.kind for entry in to_ledger(journal, "prod")] == ["deployment"]
