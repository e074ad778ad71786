"""The end of a deployment is recorded once, and a success names exactly what is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lambdas.controller import deployment as record
from lockgate.errors import ConfigError, RefusedError

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
    }


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
