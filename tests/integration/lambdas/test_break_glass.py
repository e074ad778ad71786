"""Break-glass: recorded and said before it happens, past judgement, never past integrity, open until acknowledged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import break_glass, gate, shared
from lambdas.controller import deployment as record
from lambdas.decide import acknowledgement
from lockgate.errors import RefusedError
from lockgate.ledger.standing import broken_glass
from tests import signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:lockgate-promotion"
TOKEN = "0123456789abcdef"
STS = "arn:aws:sts::123456789012:assumed-role"


@pytest.fixture(autouse=True)
def aws(
    scripted: Any, sdk: Any, use: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch, world: World
) -> Iterator[list[str]]:
    """The order of what happened beyond the ledger: what was said on the topic, and what was started."""
    happened: list[str] = []

    class Workflow(scripted):  # type: ignore[misc]
        service = "stepfunctions"

        def StartExecution(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            happened.append(f"started {request['name']} {request['input']}")
            return {"executionArn": f"{MACHINE}:{request['name']}", "startDate": datetime.now(UTC)}

    class Topic(scripted):  # type: ignore[misc]
        service = "sns"

        def Publish(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            happened.append(f"said {request['Subject']}: {request['Message']}")
            return {"MessageId": "1"}

    monkeypatch.setenv("STATE_MACHINE_ARN", MACHINE)
    monkeypatch.setenv("TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:failures")
    made = [Workflow(sdk), Topic(sdk)]
    for each in made:
        use(each.service, each.client)
    yield happened
    for each in made:
        each.close()


def smash(person: str = "bob", role: str = "lockgate-break-glass", **changes: Any) -> tuple[int, dict[str, Any]]:
    body = {"model": "income", "version": "1", "environment": "prod", "reason": "prod is down", "token": TOKEN}
    event = signed.event(f"{STS}/{role}/{person}", {**body, **changes}, "", signed.BREAK_GLASS)
    answer = break_glass.handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def look(person: str = "carol", role: str = "lockgate-approver", **changes: Any) -> tuple[int, dict[str, Any]]:
    body = {"model": "income", "sequence": 1, "reason": "looked at it", **changes}
    event = signed.event(f"{STS}/{role}/{person}", body, "acknowledgement")
    answer = acknowledgement.handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def open_ones() -> list[dict[str, Any]]:
    return broken_glass({"income": shared.ledger("test-ledger").chain("income")})


def past_the_gate(world: World, **changes: Any) -> dict[str, Any]:
    event = {**world.gate_event(environment="prod"), "break_glass": "income/1", **changes}
    return gate.handler(event, None)


def end(world: World, answer: dict[str, Any], outcome: str = "succeeded") -> None:
    live = {**answer["release"], "model_version_id": "v1"}
    place = world.remember(live, token="income-1-break-glass-1-prod") if outcome == "succeeded" else None
    deployment = {"reason": "2 of 2 tasks run", "release": live, "url": "https://lb/income", "place": place}
    facts = {"model": "income", "version": "1", "environment": "prod", "execution": "income-1-break-glass-1"}
    record.handler({**facts, "outcome": outcome, "release": answer["release"], "deployment": deployment}, None)


def test_it_is_recorded_then_said_then_started(world: World, aws: list[str]) -> None:
    world.register(roc_auc=0.1)
    status, body = smash()
    (found,) = world.records()
    assert (status, body["record"], body["execution"]) == (200, "income/1", "income-1-break-glass-1")
    assert (found["kind"], found["version"], found["environment"]) == ("break-glass", 1, "prod")
    assert found["body"] == {
        "person": "bob",
        "user_arn": f"{STS}/lockgate-break-glass/bob",
        "reason": "prod is down",
        "nonce": found["body"]["nonce"],
        "package_arn": world.arn(1),
        "image": world.image,
        "model_sha256": world.lineage(1)["model_sha256"],
    }
    said, started = aws
    assert said.startswith("said Break-glass: income 1 in prod: bob puts version 1 of income into prod")
    assert started.startswith("started income-1-break-glass-1 ")
    assert '"break_glass":"income/1"' in started


def test_the_same_attempt_again_is_the_same_record_and_another_reason_needs_another(
    world: World, aws: list[str]
) -> None:
    world.register()
    assert smash()[1]["record"] == smash()[1]["record"] == "income/1"
    assert len({text for text in aws if text.startswith("started")}) == 1
    assert smash(reason="something else")[0] == 409
    assert smash(token="f" * 16)[1]["record"] == "income/2"


@pytest.mark.parametrize(
    ("person", "role"),
    [("bob", "lockgate-approver"), ("bob", "Administrator"), ("mallory", "lockgate-break-glass")],
)
def test_only_a_known_person_in_the_exact_role_breaks_the_glass(
    world: World, aws: list[str], person: str, role: str
) -> None:
    world.register()
    assert smash(person, role)[0] == 403
    assert (world.records(), aws) == ([], [])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"reason": " "}, 400),
        ({"reason": None}, 400),
        ({"environment": "nowhere"}, 400),
        ({"version": "latest"}, 400),
        ({"token": "../1"}, 400),
        ({"actor": "carol"}, 400),
        ({"version": "9"}, 404),
    ],
    ids=str,
)
def test_what_is_malformed_or_not_there_breaks_nothing(
    world: World, aws: list[str], changes: dict[str, Any], status: int
) -> None:
    world.register()
    assert smash(**changes)[0] == status
    assert (world.records(), aws) == ([], [])


def test_the_gate_lets_a_version_through_that_its_policy_refuses_and_spends_nothing(world: World) -> None:
    world.register(roc_auc=0.1)
    smash()
    answer = past_the_gate(world)
    assert (answer["outcome"], answer["approvals"], answer["verdict_id"]) == ("passed", 0, "income/1")
    assert answer["release"]["verdict_id"] == "income/1"
    assert answer["release"]["model_sha256"] == world.lineage(1)["model_sha256"]
    assert len(world.records()) == 1
    assert gate.handler(world.gate_event(environment="prod"), None)["outcome"] == "failed"


def test_a_version_that_a_gate_marked_as_rejected_goes_through(world: World) -> None:
    world.register(roc_auc=0.1)
    gate.handler(world.gate_event(), None)
    assert world.status(1) == "Rejected"
    smash()
    assert past_the_gate(world, break_glass="income/2")["outcome"] == "passed"


@pytest.mark.parametrize("what", ["model data", "evidence", "evaluator"])
def test_integrity_is_never_skipped(world: World, what: str) -> None:
    world.register()
    smash()
    if what == "model data":
        key = f"{'income'}/exec1/training/job/output/model.tar.gz"
        world.s3.put_object(Bucket="test-models", Key=key, Body=b"another model")
    elif what == "evidence":
        world.s3.put_object(Bucket="test-evidence", Key="income/exec1/evidence.json", Body=b"{}")
    else:
        world.sagemaker.jobs["evaluate-1"]["AppSpecification"]["ImageUri"] = "somebody-elses"
    answer = past_the_gate(world)
    assert (answer["outcome"], answer["release"]) == ("error", None)
    verdict = world.records()[-1]
    assert (verdict["kind"], verdict["body"]["break_glass"]) == ("verdict", "income/1")
    assert open_ones()[0]["outcome"] == "error"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"break_glass": "income/9"}, "expected the break-glass"),
        ({"environment": "dev"}, "expected the break-glass of version 1 for dev"),
        ({"version": "2"}, "expected the break-glass of version 2"),
    ],
    ids=str,
)
def test_a_reference_that_is_no_break_glass_of_this_release_is_refused(
    world: World, changes: dict[str, str], why: str
) -> None:
    world.register()
    smash()
    with pytest.raises(RefusedError, match=why):
        past_the_gate(world, **changes)


def test_a_break_glass_works_once(world: World) -> None:
    world.register()
    smash()
    answer = past_the_gate(world)
    end(world, answer, "failed")
    past_the_gate(world)  # the same attempt, redriven
    end(world, answer)
    with pytest.raises(RefusedError, match="was used or acknowledged already"):
        past_the_gate(world)


def test_it_stays_open_with_how_it_ended_until_somebody_else_acknowledges_it(world: World) -> None:
    world.register()
    smash()
    assert [(entry["record"], entry["person"], entry["outcome"]) for entry in open_ones()] == [
        ("income/1", "bob", None)
    ]
    end(world, past_the_gate(world))
    assert "without" not in world.records()[-1]["body"], "the break-glass is about this very image and model"
    assert [entry["outcome"] for entry in open_ones()] == ["succeeded"]
    status, body = look("bob")
    assert (status, "another person has to acknowledge it" in body["message"]) == (409, True)
    assert len(open_ones()) == 1
    assert look("carol")[0] == 200
    assert open_ones() == []
    assert look("dave")[1]["message"] == "acknowledged by carol (income/3)"
    assert [entry["kind"] for entry in world.records()] == ["break-glass", "deployment", "acknowledgement"]


@pytest.mark.parametrize(
    ("person", "role", "changes", "status"),
    [
        ("carol", "lockgate-break-glass", {}, 403),
        ("mallory", "lockgate-approver", {}, 403),
        ("carol", "lockgate-approver", {"reason": ""}, 400),
        ("carol", "lockgate-approver", {"sequence": "1"}, 400),
        ("carol", "lockgate-approver", {"sequence": True}, 400),
        ("carol", "lockgate-approver", {"sequence": 0}, 409),
        ("carol", "lockgate-approver", {"sequence": 7}, 409),
    ],
    ids=str,
)
def test_what_does_not_acknowledge_leaves_it_open(
    world: World, person: str, role: str, changes: dict[str, Any], status: int
) -> None:
    world.register()
    smash()
    assert look(person, role, **changes)[0] == status
    assert len(open_ones()) == 1
