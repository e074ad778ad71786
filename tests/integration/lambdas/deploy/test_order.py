"""One update at a time, and never back: promotions that meet others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lambdas.deploy import promotion
from lockgate.errors import BusyError, RefusedError

if TYPE_CHECKING:
    from tests.integration.lambdas.deploy.conftest import EnvironmentAccount


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "CREATE_IN_PROGRESS"])
def test_a_stack_that_another_update_changes_is_busy(prod: EnvironmentAccount, status: str) -> None:
    prod.cloudformation.status = status
    with pytest.raises(BusyError, match=status):
        prod.start()
    assert prod.cloudformation.requests("UpdateStack") == []


def test_an_update_that_begins_in_between_is_busy_too(prod: EnvironmentAccount) -> None:
    prod.cloudformation.failure = prod.error(
        "ValidationError", f"Stack:{prod.cloudformation.arn} is in UPDATE_IN_PROGRESS state and can not be updated."
    )
    with pytest.raises(BusyError, match="another update runs"):
        prod.start()


def test_start_during_the_rollback_of_the_same_release_waits_instead_of_claiming_progress(
    prod: EnvironmentAccount,
) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    with pytest.raises(BusyError):
        prod.start()


def test_a_version_approved_after_a_newer_one_went_live_is_refused(prod: EnvironmentAccount) -> None:
    prod.promote("3")
    with pytest.raises(RefusedError, match=r"version 2 was superseded: version 3 is live"):
        prod.promote("2")
    assert len(prod.cloudformation.requests("UpdateStack")) == 1


def test_of_two_promotions_at_once_the_second_waits_and_then_the_newer_version_is_live(
    prod: EnvironmentAccount,
) -> None:
    prod.start("income-3-prod", release=prod.release_of("3"))
    with pytest.raises(BusyError):
        prod.promote("2")
    prod.cloudformation.status = "UPDATE_COMPLETE"
    with pytest.raises(RefusedError, match="superseded"):
        prod.promote("2")
    prod.promote("4")
    assert prod.cloudformation.parameters["ReleaseVersion"] == "4"


def test_a_promotion_that_follows_at_once_hides_nothing_from_whoever_waits_for_the_one_before(
    prod: EnvironmentAccount,
) -> None:
    prod.promote("1")
    second, third = prod.release_of("2"), prod.release_of("3")
    prod.start("income-2-prod", release=second)
    prod.cloudformation.status = "UPDATE_COMPLETE"  # and the third comes before anybody asks
    prod.start("income-3-prod", release=third)
    answer = prod.status("income-2-prod", release=second)
    assert (answer["status"], answer["release"]["version"]) == ("SUCCEEDED", "2")
    assert prod.end("income-3-prod", release=third, source=prod.source)["status"] == "SUCCEEDED"
    assert [fact["body"]["release"]["version"] for fact in prod.journal("deployment")] == ["1", "2", "3"]
    assert prod.operate("rollback", "rollback-1")["to"] == "2"


def test_a_failure_that_a_promotion_follows_at_once_is_none_of_its_successes(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    before = dict(prod.cloudformation.parameters)
    second, third = prod.release_of("2"), prod.release_of("3")
    prod.start("income-2-prod", release=second)
    prod.cloudformation.parameters, prod.cloudformation.status = before, "UPDATE_ROLLBACK_COMPLETE"
    prod.cloudformation.happen("UPDATE_ROLLBACK_COMPLETE", token="income-2-prod")
    prod.start("income-3-prod", release=third)
    assert prod.end("income-3-prod", release=third, source=prod.source)["status"] == "SUCCEEDED"
    assert prod.status("income-2-prod", release=second)["status"] == "FAILED"
    assert [fact["body"]["release"]["version"] for fact in prod.journal("deployment")] == ["1", "3"]


def while_it_copies(happens: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen during the copies of the next start, once."""
    copy_replay = promotion.copy_replay

    def slowly(*arguments: Any) -> None:
        monkeypatch.setattr(promotion, "copy_replay", copy_replay)
        happens()
        copy_replay(*arguments)

    monkeypatch.setattr(promotion, "copy_replay", slowly)


def test_a_promotion_that_another_overtook_while_it_copied_sees_it(
    prod: EnvironmentAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other begins and ends between this one's first look at the stack and its last copy."""
    prod.promote("1")
    second, third = prod.release_of("2"), prod.release_of("3")

    def overtakes() -> None:
        prod.start("income-3-prod", release=third)
        prod.cloudformation.status = "UPDATE_COMPLETE"

    while_it_copies(overtakes, monkeypatch)
    with pytest.raises(RefusedError, match="version 2 was superseded: version 3 is live"):
        prod.start("income-2-prod", release=second)
    assert prod.cloudformation.parameters["ReleaseVersion"] == "3"


def test_a_promotion_waits_for_one_that_it_met_while_it_copied_and_hides_nothing_of_it(
    prod: EnvironmentAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.promote("1")
    second, third = prod.release_of("2"), prod.release_of("3")
    while_it_copies(lambda: prod.start("income-2-prod", release=second), monkeypatch)
    with pytest.raises(BusyError):
        prod.start("income-3-prod", release=third)
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.start("income-3-prod", release=third)
    assert prod.status("income-2-prod", release=second)["status"] == "SUCCEEDED"


def test_a_promotion_waits_until_the_tasks_of_the_one_before_run(prod: EnvironmentAccount) -> None:
    prod.start("income-2-prod", release=prod.release_of("2"))
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.ecs.primary["runningCount"] = 1
    with pytest.raises(BusyError, match="attempt income-2-prod has not ended"):
        prod.start("income-3-prod", release=prod.release_of("3"))


def test_an_older_version_may_follow_when_the_newer_one_was_taken_back(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("3")
    prod.operate("rollback", "rollback-1")
    prod.end("rollback-1")
    assert prod.promote("2")["version"] == "2"
