"""The end of a deployment is recorded once, and a success names exactly what is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lambdas import shared
from lambdas.controller import deployment as record
from lockgate.errors import ConfigError, RefusedError
from lockgate.ledger.reasons import JUDGED
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

WANTED = {
    "version": "1",
    "commit": "c" * 40,
    "package_arn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/lockgate-income/1",
    "image": "r/lockgate-models@sha256:" + "a" * 64,
    "model_sha256": "b" * 64,
    "replay_sha256": "e" * 64,
    "policy_sha256": "d" * 64,
    "verdict_id": "income/1",
}
LIVE = {**WANTED, "model_version_id": "v1"}
URL = "https://lb.example/income"


@pytest.fixture(autouse=True)
def ended(world: World) -> None:
    """The journal of dev has the end of this deployment."""
    world.remember(LIVE, "dev", "income-1-dev")


def event(outcome: str = "succeeded", **changes: Any) -> dict[str, Any]:
    deployment = {"status": "SUCCEEDED", "reason": "2 of 2 tasks run", "release": LIVE, "url": URL, "place": 1}
    facts = {"model": "income", "version": "1", "environment": "dev", "execution": "income-1"}
    return {**facts, "outcome": outcome, "release": WANTED, "deployment": deployment, **changes}


def test_a_success_records_what_is_live(world: World) -> None:
    assert record.handler(event(), None) == {"record": "income/1"}
    (found,) = world.records()
    assert (found["kind"], found["id"]) == ("deployment", "deployment:1:dev:income-1:succeeded")
    assert found["body"] == {
        "outcome": "succeeded",
        "release": LIVE,
        "url": URL,
        "reason": "2 of 2 tasks run",
        "place": 1,
        "without": "income/1: found no such record, expected what let version 1 into dev",
    }


def let_in(world: World, **changes: Any) -> None:
    """Let the ledger have the verdict that the release names."""
    judged = {name: WANTED[name] for name in JUDGED}
    entry = records.entry(records.verdict(**{**judged, **changes}), version=1, environment="dev")
    shared.ledger("test-ledger").append("income", entry, records.TIME)


def test_what_a_verdict_let_in_is_recorded_without_a_word(world: World) -> None:
    let_in(world)
    record.handler(event(), None)
    assert "without" not in world.records()[-1]["body"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outcome": "failed"}, "a verdict that is failed"),
        ({"image": "another"}, "a verdict about another image"),
        ({"model_sha256": "0" * 64}, "a verdict about another model_sha256"),
        ({"approvals": 1}, "found no 1 approvals of this verdict"),
    ],
    ids=str,
)
def test_what_serves_without_its_reasons_is_recorded_with_why(world: World, changes: dict[str, Any], why: str) -> None:
    let_in(world, **changes)
    record.handler(event(), None)
    assert why in world.records()[-1]["body"]["without"]


@pytest.mark.parametrize("place", [2, 77, None])
def test_an_end_that_the_environment_does_not_remember_is_invented(world: World, place: int | None) -> None:
    """Whoever may invoke the controller may say anything; version 77 would stay live for ever."""
    said = {**event()["deployment"], "place": place}
    with pytest.raises(RefusedError, match="found nothing in the environment's journal"):
        record.handler(event(deployment=said), None)
    assert world.records() == []


def test_an_end_of_another_release_than_the_environment_remembers_is_invented(world: World) -> None:
    other = {**WANTED, "commit": "d" * 40}
    said = {**event()["deployment"], "release": {**other, "model_version_id": "v1"}}
    with pytest.raises(RefusedError, match="found deployment in the environment's journal"):
        record.handler(event(release=other, deployment=said), None)
    assert world.records() == []


def test_what_the_environment_remembers_of_before_is_recorded_first(world: World) -> None:
    later = {**WANTED, "version": "2"}
    live = {**later, "model_version_id": "v2"}
    place = world.remember(live, "dev", "income-2-dev")
    said = {**event()["deployment"], "release": live, "place": place}
    record.handler(event(version="2", execution="income-2", release=later, deployment=said), None)
    assert [found["id"] for found in world.records()] == [
        "deployment:1:dev:income-1:succeeded",
        "deployment:2:dev:income-2:succeeded",
    ]


def test_a_failure_records_what_was_wanted_and_why_it_is_not_live(world: World) -> None:
    deployment = {"status": "FAILED", "reason": "Service: rolled back", "release": None, "url": URL}
    record.handler(event("failed", deployment=deployment), None)
    body = world.records()[0]["body"]
    assert (body["outcome"], body["release"], body["reason"]) == ("failed", WANTED, "Service: rolled back")


def test_a_deployment_that_never_got_as_far_as_a_status_records_its_reason(world: World) -> None:
    record.handler(event("failed", deployment={"reason": "NotFoundError: deploy the environment first"}), None)
    body = world.records()[0]["body"]
    assert (body["release"], body["url"], body["reason"][:13]) == (WANTED, None, "NotFoundError")


def test_the_same_end_twice_is_one_record(world: World) -> None:
    assert record.handler(event(), None) == record.handler(event(), None)
    assert len(world.records()) == 1


def test_an_execution_that_failed_and_was_redriven_to_success_has_both_records(world: World) -> None:
    record.handler(event("failed"), None)
    record.handler(event(), None)
    assert [found["body"]["outcome"] for found in world.records()] == ["failed", "succeeded"]


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "done"},
        {"outcome": None},
        {"version": "2"},
        {"environment": "nowhere"},
        {"deployment": {"status": "SUCCEEDED", "reason": "", "url": URL}},
        {"deployment": {"status": "SUCCEEDED", "reason": "", "release": None, "url": URL}},
        {"deployment": {"status": "SUCCEEDED", "reason": "", "release": WANTED, "url": URL}},
        {"deployment": {"status": "SUCCEEDED", "reason": "", "release": {**LIVE, "commit": "d" * 40}, "url": URL}},
        {"deployment": {"status": "SUCCEEDED", "reason": "", "release": {**LIVE, "version": 1}, "url": URL}},
    ],
    ids=str,
)
def test_an_end_that_contradicts_itself_is_refused(world: World, change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        record.handler(event(**change), None)
    assert world.records() == []


def test_a_missing_environment_variable_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEDGER_BUCKET")
    with pytest.raises(ConfigError, match="LEDGER_BUCKET"):
        record.handler(event(), None)
