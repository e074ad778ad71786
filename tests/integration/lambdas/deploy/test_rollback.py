"""Rollback and restore: from what the environment remembers, once, and written down before anything changes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from lambdas import deploy, shared
from lockgate.errors import RefusedError
from lockgate.release.parameters import PARAMETERS

if TYPE_CHECKING:
    from tests.integration.lambdas.deploy.conftest import EnvironmentAccount


def test_a_rollback_pins_the_previous_release_as_it_was_without_asking_anybody_else(prod: EnvironmentAccount) -> None:
    first = prod.promote("1")
    prod.promote("2")
    prod.source = {"bucket": "gone", "key": "gone", "version_id": "gone"}
    assert prod.operate("rollback", "rollback-1") == {"status": "IN_PROGRESS", "from": "2", "to": "1"}
    answer = prod.end("rollback-1")
    assert (answer["status"], answer["release"]) == ("SUCCEEDED", first)
    kinds = [
        (fact["kind"], fact["body"].get("action") or fact["body"]["release"]["version"]) for fact in prod.journal()
    ]
    assert kinds == [("deployment", "1"), ("deployment", "2"), ("asked", "rollback"), ("deployment", "1")]
    assert (answer["place"], prod.journal()[2]["body"]["person"]) == (6, "olga")


def test_what_was_rolled_back_from_is_not_started_again(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.operate("rollback", "rollback-1")
    prod.end("rollback-1")
    updates = len(prod.cloudformation.requests("UpdateStack"))
    with pytest.raises(RefusedError, match=r"version 2 was rolled back from .* by olga \(too slow\)"):
        prod.promote("2")
    assert len(prod.cloudformation.requests("UpdateStack")) == updates


def test_the_same_rollback_asked_again_is_one_rollback(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("2")
    assert prod.operate("rollback", "rollback-1") == prod.operate("rollback", "rollback-1")
    prod.end("rollback-1")
    updates = len(prod.cloudformation.requests("UpdateStack"))
    assert prod.operate("rollback", "rollback-1")["to"] == "1"
    assert [fact["kind"] for fact in prod.journal()].count("asked") == 1
    assert len(prod.cloudformation.requests("UpdateStack")) == updates, "what has ended is not done again"


def test_a_rollback_that_died_before_its_update_goes_on_when_it_is_asked_again(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError):
        prod.operate("rollback", "rollback-1")
    prod.cloudformation.failure = None
    prod.operate("rollback", "rollback-1")
    assert prod.end("rollback-1")["release"]["version"] == "1"


def test_a_look_between_what_a_rollback_writes_down_and_what_it_does_takes_it_for_no_failure(
    prod: EnvironmentAccount,
) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError):
        prod.operate("rollback", "rollback-1")
    prod.cloudformation.failure = None
    prod.look()
    prod.operate("rollback", "rollback-1")
    prod.end("rollback-1")
    assert prod.journal()[-1]["body"]["outcome"] == "succeeded"


def test_a_rollback_that_never_began_is_remembered_as_failed_when_nobody_can_be_at_it_any_more(
    prod: EnvironmentAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError):
        prod.operate("rollback", "rollback-1")
    later = shared.now() + timedelta(minutes=16)
    monkeypatch.setattr(shared, "now", lambda: later)
    assert prod.look() == "FAILED"
    assert prod.journal()[-1]["body"]["outcome"] == "failed"


def test_a_failed_rollback_is_remembered_and_what_is_live_stays(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("2")
    live = dict(prod.cloudformation.parameters)
    prod.operate("rollback", "rollback-1")
    prod.cloudformation.happen("UPDATE_ROLLBACK_COMPLETE", token="rollback-1")
    prod.cloudformation.parameters = live
    prod.cloudformation.status = "UPDATE_ROLLBACK_COMPLETE"
    answer = deploy.handler({"action": "status", "model": "income", "token": "rollback-1"}, None)
    assert (answer["status"], answer["release"]["version"]) == ("FAILED", "2")
    assert prod.journal()[-1]["body"]["outcome"] == "failed"


def test_a_rollback_waits_for_no_other_update_and_leaves_no_trace_then(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.cloudformation.status = "UPDATE_IN_PROGRESS"
    assert "another update runs" in prod.operate("rollback", "rollback-1")["refused"]
    assert len(prod.journal()) == 2


@pytest.mark.parametrize("versions", [[], ["1"]], ids=len)
def test_without_a_previous_release_a_rollback_is_refused(prod: EnvironmentAccount, versions: list[str]) -> None:
    for version in versions:
        prod.promote(version)
    assert prod.operate("rollback", "rollback-1")["refused"].startswith("rollback: ")
    assert len(prod.journal()) == len(versions)


def test_a_rollback_to_an_image_that_the_environment_has_no_copy_of_is_refused(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.ecr.copies.clear()
    assert "has no copy of its image" in prod.operate("rollback", "rollback-1")["refused"]
    assert [fact["kind"] for fact in prod.journal()] == ["deployment", "deployment"]


def test_a_stack_made_anew_gets_back_what_was_live_last(prod: EnvironmentAccount) -> None:
    release = prod.promote("1")
    prod.cloudformation.parameters |= dict.fromkeys(PARAMETERS.values(), "")
    prod.cloudformation.status = "CREATE_COMPLETE"
    assert prod.operate("restore", "restore-1") == {"status": "IN_PROGRESS", "from": None, "to": "1"}
    assert prod.end("restore-1")["release"] == release


def test_a_stack_that_was_changed_and_not_lost_is_not_restored(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.cloudformation.parameters["ReleaseVersion"] = "2"
    assert "pins version 2: it was changed, not lost" in prod.operate("restore", "restore-1")["refused"]


def test_a_service_that_was_changed_past_its_stack_is_restored_by_an_update_that_changes_something(
    prod: EnvironmentAccount,
) -> None:
    """Without a change there would be no update, and the service would stay as somebody left it. In steps, it would
    serve most requests meanwhile, and its errors would take the restored release back.
    """
    release = prod.promote("1")
    for number, mode in enumerate(["at-once", "at-once-again", "at-once"]):
        token = f"restore-{number}"
        assert prod.operate("restore", token) == {"status": "IN_PROGRESS", "from": "1", "to": "1"}
        assert (prod.cloudformation.status, prod.cloudformation.parameters["ReleaseMode"]) == (
            "UPDATE_IN_PROGRESS",
            mode,
        )
        assert prod.end(token)["release"] == release
        assert prod.operate("restore", token)["to"] == "1"
        assert prod.cloudformation.status == "UPDATE_COMPLETE", "the same restore asked again changes nothing"


def test_the_progress_of_a_token_nobody_asked_with_is_refused(prod: EnvironmentAccount) -> None:
    with pytest.raises(RefusedError, match="found nothing that began it here"):
        prod.end("rollback-unknown")
