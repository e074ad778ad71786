"""What may begin, when it is past its deadline, where a person leads it, and when its end is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lockgate.errors import BusyError, RefusedError
from lockgate.ledger.journal import Asked, Ended, Fact, FactBody, Started
from lockgate.release.attempts import (
    LONGEST_RUN,
    Question,
    deadline_of,
    end_of,
    is_past,
    mode_towards,
    reason_of_failure,
    refuse_to_promote,
    refuse_unless_ended,
    target_of,
    wanted_by,
)
from lockgate.release.parameters import AT_ONCE, AT_ONCE_AGAIN, GRADUAL, Release
from lockgate.release.stack import Progress, Stack
from tests import records

BEGUN = datetime(2026, 11, 21, tzinfo=UTC)
FAILED = Progress("FAILED", "UPDATE_ROLLBACK_COMPLETE: no task")


def release(version: int) -> Release:
    return records.release(version, verdict_id=f"income/{version}")


def stack(version: int | None, mode: str = GRADUAL, status: str = "UPDATE_COMPLETE") -> Stack:
    pinned = release(version).to_parameters() if version else {}
    return Stack("release-income", status, "", {**pinned, "ReleaseMode": mode}, ())


def fact(body: FactBody) -> Fact[Any]:
    return Fact(1, BEGUN.isoformat(), "token", body)


def started(deadline_minutes: int | None = None) -> Fact[Started]:
    return fact(Started(release=release(1), deadline_minutes=deadline_minutes))


def ended() -> Fact[Ended]:
    return fact(Ended(outcome="succeeded", reason="", url="u", release=release(1)))


def rollback(before: int, to: int) -> Fact[Asked]:
    who = {"action": "rollback", "person": "olga", "user_arn": "arn", "reason": "too slow", "url": "u"}
    return fact(Asked(**who, from_=release(before), to=release(to)))


def test_an_attempt_wants_what_its_promotion_asks_for_or_what_a_person_was_led_to() -> None:
    first, second = (release(version).judged for version in (1, 2))
    assert wanted_by(Question("token", second), None) == second
    assert wanted_by(Question("token", None), rollback(2, 1)) == first
    with pytest.raises(RefusedError, match="found nothing that began it"):
        wanted_by(Question("token", None), None)


def test_a_promotion_that_a_newer_release_overtook_is_refused_once_that_one_is_live() -> None:
    wanted = release(2).judged
    refuse_to_promote([], stack(3, status="UPDATE_IN_PROGRESS"), wanted)  # it may yet be taken back
    with pytest.raises(RefusedError, match="version 2 was superseded"):
        refuse_to_promote([], stack(3), wanted)


def test_a_promotion_of_what_was_rolled_back_from_is_refused() -> None:
    with pytest.raises(RefusedError, match="was rolled back from"):
        refuse_to_promote([rollback(2, 1)], stack(1), release(2).judged)


def test_an_attempt_keeps_the_deadline_of_when_it_began() -> None:
    attempt = started(60)
    assert [deadline_of(each, 30) for each in (attempt, started(), None)] == [60, 30, 30]
    assert not is_past(attempt, 60, BEGUN + timedelta(minutes=60))
    assert is_past(attempt, 60, BEGUN + timedelta(minutes=60, seconds=1))


def test_a_promotion_waits_for_the_attempt_before_it_until_that_is_past_its_deadline() -> None:
    attempt, later = started(), BEGUN + timedelta(minutes=61)
    refuse_unless_ended(attempt, "FAILED", 60, BEGUN)
    refuse_unless_ended(attempt, "IN_PROGRESS", 60, later)
    with pytest.raises(BusyError, match="has not ended"):
        refuse_unless_ended(attempt, "IN_PROGRESS", 60, BEGUN)


def test_a_restore_leads_to_what_was_live_last_and_only_where_it_was_lost() -> None:
    assert target_of("restore", [ended()], stack(None)) == target_of("restore", [ended()], stack(1)) == release(1)
    with pytest.raises(RefusedError, match="it was changed, not lost"):
        target_of("restore", [ended()], stack(2))


def test_a_rollback_leads_to_the_release_before_the_live_one() -> None:
    assert target_of("rollback", [ended()], stack(2)) == release(1)
    with pytest.raises(RefusedError, match="pins no release"):
        target_of("rollback", [ended()], stack(None))


def test_pinning_the_same_release_again_is_still_a_change() -> None:
    modes = [mode_towards(release(1), found) for found in (stack(2), stack(1), stack(1, AT_ONCE))]
    assert modes == [AT_ONCE, AT_ONCE, AT_ONCE_AGAIN]
    assert mode_towards(release(1), stack(1, AT_ONCE_AGAIN)) == AT_ONCE


def test_a_success_is_remembered_with_what_the_stack_pins() -> None:
    end = end_of(Progress("SUCCEEDED", "2 of 2 tasks run"), None, release(2), "u", BEGUN)
    assert end == Ended(outcome="succeeded", reason="2 of 2 tasks run", url="u", release=release(2))


def test_the_failure_of_a_promotion_is_its_workflows_to_record() -> None:
    assert end_of(FAILED, None, release(1), "u", BEGUN) is None
    assert end_of(Progress("IN_PROGRESS", ""), rollback(2, 1), release(2), "u", BEGUN) is None


def test_the_failure_of_what_a_person_asked_for_is_remembered_with_what_was_wanted() -> None:
    end = end_of(FAILED, rollback(2, 1), release(2), "u", BEGUN)
    assert end and (end.outcome, end.release) == ("failed", release(1))


def test_what_was_not_begun_has_failed_only_once_no_function_can_be_about_to_begin_it() -> None:
    unbegun = Progress("FAILED", "pins something else", begun=False)
    assert end_of(unbegun, rollback(2, 1), None, "u", BEGUN + LONGEST_RUN) is None
    assert end_of(unbegun, rollback(2, 1), None, "u", BEGUN + LONGEST_RUN + timedelta(seconds=1))


def test_the_reason_of_a_failure_begins_with_what_hooks_and_alarms_found() -> None:
    assert reason_of_failure(["replay: 3 rows differ"], ["Errors: 7 > 5"], "rolled back") == (
        "replay: 3 rows differ; Errors: 7 > 5; rolled back"
    )
