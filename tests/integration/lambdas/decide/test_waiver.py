"""Waivers: another person, for one rule of one version until a day, and never for an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import gate, shared
from lambdas.decide import waiver
from tests import signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:lockgate-promotion"


@pytest.fixture(autouse=True)
def started(scripted: Any, sdk: Any, use: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The promotion workflow: the names and inputs with which it was started."""

    class Workflow(scripted):  # type: ignore[misc]
        service = "stepfunctions"

        def StartExecution(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            return {"executionArn": f"{MACHINE}:{request['name']}", "startDate": datetime.now(UTC)}

    monkeypatch.setenv("STATE_MACHINE_ARN", MACHINE)
    made = Workflow(sdk)
    use("stepfunctions", made.client)
    yield made
    made.close()


def day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(days=ahead)).strftime("%Y-%m-%d")


def say(person: str = "grace", **changes: Any) -> tuple[int, dict[str, Any]]:
    body = {
        "model": "income",
        "version": "1",
        "environment": "dev",
        "rule": "ranking",
        "reason": "holiday data",
        "expires": day(7),
        **changes,
    }
    arn = f"arn:aws:sts::123456789012:assumed-role/lockgate-approver/{person}"
    response = waiver.handler(signed.event(arn, body, "waiver"), None)
    return response["statusCode"], json.loads(response["body"])


@pytest.fixture
def refused(world: World) -> World:
    world.register(roc_auc=0.79)
    assert gate.handler(world.gate_event(), None)["outcome"] == "failed"
    return world


def test_a_waived_rule_lets_the_version_through_and_the_verdict_says_by_whom_and_why(
    refused: World, started: Any
) -> None:
    assert say()[0] == 200
    assert started.requests("StartExecution")[0]["name"] == "income-1-waiver-2"
    assert gate.handler(refused.gate_event(), None)["outcome"] == "passed"
    message = refused.records()[-1]["body"]["reasons"][0]["message"]
    assert message.startswith(
        f"failed, waived by grace (income/2, until the end of {day(7)}: holiday data): roc_auc 0.79"
    )
    assert refused.status(1) == "Approved"


def test_a_waiver_leaves_other_versions_and_other_environments_alone(refused: World) -> None:
    say()
    refused.register(2, roc_auc=0.79)
    assert gate.handler(refused.gate_event(2), None)["outcome"] == "failed"
    assert gate.handler(refused.gate_event(environment="prod"), None)["outcome"] == "failed"


def test_an_expired_waiver_does_nothing(refused: World, monkeypatch: pytest.MonkeyPatch) -> None:
    say(expires=day(0))
    monkeypatch.setattr(shared, "now", lambda: datetime.now(UTC) + timedelta(days=2))
    assert gate.handler(refused.gate_event(), None)["outcome"] == "failed"
    assert [record["kind"] for record in refused.records()] == ["verdict", "waiver"]


def test_the_same_waiver_again_is_the_same_record(refused: World) -> None:
    assert say() == say()
    assert len(refused.records()) == 2


def test_altered_evidence_is_never_waived(world: World) -> None:
    world.register()
    world.s3.put_object(Bucket="test-evidence", Key="income/exec1/evidence.json", Body=b"{}")
    gate.handler(world.gate_event(), None)
    status, answer = say()
    assert (status, "never waived" in answer["message"]) == (409, True)
    assert len(world.records()) == 1


def test_evidence_altered_after_a_waiver_is_an_error_all_the_same(refused: World) -> None:
    say()
    refused.s3.put_object(Bucket="test-evidence", Key="income/exec1/evidence.json", Body=b"{}")
    assert gate.handler(refused.gate_event(), None)["outcome"] == "error"


def test_the_author_cannot_waive(refused: World) -> None:
    assert say("amelie")[0] == 403
    assert say("AMELIE")[0] == 403


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"rule": "no such"}, 400, "expected one of ranking"),
        ({"reason": " "}, 400, "expected text: why"),
        ({"expires": "tomorrow"}, 400, "expected a date"),
        ({"expires": "2020-01-01"}, 400, "a day from today"),
        ({"expires": "2999-01-01"}, 400, "a day from today"),
        ({"user_arn": "ada"}, 400, "expected no such field"),
        ({"environment": "nowhere"}, 400, "expected one of dev"),
        ({"version": "2"}, 409, "found no verdict"),
        ({"environment": "prod"}, 409, "found no verdict"),
    ],
)
def test_a_waiver_that_cannot_be_is_refused_and_recorded_nowhere(
    refused: World, changes: dict[str, str], status: int, message: str
) -> None:
    found, answer = say(**changes)
    assert (found, message in answer["message"]) == (status, True), answer
    assert len(refused.records()) == 1


def test_what_passed_needs_no_waiver(world: World) -> None:
    world.register()
    gate.handler(world.gate_event(), None)
    status, answer = say()
    assert (status, "found ranking passed" in answer["message"]) == (409, True)


def test_nobody_but_a_session_of_the_approver_role_is_heard(refused: World) -> None:
    assert waiver.handler({"body": "{}"}, None)["statusCode"] == 403
