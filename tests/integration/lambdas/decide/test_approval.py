"""Approvals: who answers is who signed, once, in time, with a reason, and never the author."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import decide, gate, shared
from lambdas.controller import approval_request
from lambdas.decide import approval
from lockgate.aws import caller_identity, reader
from lockgate.aws.journal import Journal
from lockgate.errors import RefusedError
from lockgate.ledger.journal import Asked
from tests import records, signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import ScriptedStepFunctions, World

HOUR = 3600
ROLE = "arn:aws:sts::123456789012:assumed-role/lockgate-approver"
APPROVE = {"model": "income", "version": "1", "environment": "prod", "decision": "approve", "reason": "numbers agree"}
REJECT = {**APPROVE, "decision": "reject", "reason": "too early"}


def answer(person: str, body: object = APPROVE) -> tuple[int, dict[str, Any]]:
    return read(approval.handler(signed.event(f"{ROLE}/{person}", body, "approval"), None))


def read(response: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    assert response["headers"] == {"content-type": "application/json"}
    body = json.loads(response["body"])
    assert body["message"]
    return response["statusCode"], body


@pytest.fixture
def ask(
    world: World, workflow: ScriptedStepFunctions, use: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """A version 1 by amelie that passed the gate of prod; asking lets a workflow wait with a token."""
    use("stepfunctions", workflow.client)
    monkeypatch.setenv("APPROVAL_SECONDS", str(HOUR))
    monkeypatch.setenv("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:lockgate-promotion")
    world.register(actor="amelie")
    verdict = gate.handler(world.gate_event(environment="prod"), None)

    def ask(token: str = "token-1") -> str:  # noqa: S107
        workflow.waiting.add(token)
        workflow.executions["income-1"] = "RUNNING"
        asked = {"verdict_id": verdict["verdict_id"], "execution": "income-1", "task_token": token}
        return approval_request.handler({**world.gate_event(environment="prod"), **asked}, None)["request"]

    return ask


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the handlers' clock be so many seconds ahead."""

    def move(seconds: int) -> None:
        monkeypatch.setattr(shared, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))

    return move


def kinds(world: World) -> list[str]:
    return [record["kind"] for record in world.records()]


def test_an_approval_is_recorded_with_the_person_and_wakes_the_workflow(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    request = ask()
    status, body = answer("bob")
    record = world.records()[-1]
    assert (status, body["record"], workflow.woken) == (200, "income/3", [{"decision": "approve"}])
    assert (body["commit"], body.get("live_commit")) == (world.lineage(1)["commit"], None)
    assert (record["kind"], record["id"]) == ("approval", "approval:1:prod:2:bob")
    assert record["body"] == {
        "person": "bob",
        "user_arn": f"{ROLE}/bob",
        "authors": ["amelie"],
        "reason": "numbers agree",
        "nonce": record["body"]["nonce"],
        "request": request,
        "verdict_id": "income/1",
    }


def test_a_rejection_with_a_reason_wakes_the_workflow_with_reject(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    assert answer("bob", REJECT)[0] == 200
    assert (kinds(world)[-1], workflow.woken) == ("rejection", [{"decision": "reject"}])


@pytest.mark.parametrize("reason", ["", "   ", None], ids=repr)
def test_a_rejection_without_a_reason_is_refused(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str], reason: object
) -> None:
    ask()
    status, body = answer("bob", {**REJECT, "reason": reason})
    assert (status, "expected text" in body["message"]) == (400, True)
    assert (len(world.records()), workflow.woken) == (2, [])


def test_the_author_cannot_decide_about_their_own_commit_under_any_of_their_names(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    tools = world.root / "environments" / "tools.toml"
    tools.write_text(tools.read_text().replace('users = ["amelie"]', 'users = ["amelie", "amelie@example.com"]'))
    ask()
    for person in ("amelie", "amelie@example.com"):
        assert answer(person)[0] == 403
        assert answer(person, REJECT)[0] == 403
    assert (len(world.records()), workflow.woken) == (2, [])


def test_what_an_unknown_account_delivered_can_be_rejected_and_not_approved(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    tools = world.root / "environments" / "tools.toml"
    tools.write_text(tools.read_text().replace('github = ["100"]', 'github = ["999"]'))
    status, body = answer("bob")
    assert (status, "lockgate-delivery/100, whom [persons]" in body["message"]) == (403, True)
    assert (len(world.records()), workflow.woken) == (2, [])
    assert answer("bob", REJECT)[0] == 200
    assert workflow.woken == [{"decision": "reject"}]


def test_the_name_that_the_delivery_claimed_decides_nothing(
    world: World, workflow: ScriptedStepFunctions, use: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's own code says who its actor is; the account that AWS saw is what counts."""
    use("stepfunctions", workflow.client)
    monkeypatch.setenv("APPROVAL_SECONDS", str(HOUR))
    world.register(actor="somebody-else")
    verdict = gate.handler(world.gate_event(environment="prod"), None)
    monkeypatch.setenv("STATE_MACHINE_ARN", "arn")
    event = {**world.gate_event(environment="prod"), "verdict_id": verdict["verdict_id"], "task_token": "t"}
    approval_request.handler(event, None)
    assert answer("amelie")[0] == 403


def test_a_person_who_is_not_in_the_map_decides_nothing(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    status, body = answer("mallory")
    assert (status, "found no such user in [persons]" in body["message"]) == (403, True)
    assert (len(world.records()), workflow.woken) == (2, [])


def test_an_environment_names_the_roles_that_may_approve_there(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    for environment, role in (("dev", "lockgate-approver"), ("prod", "AWSReservedSSO_Releases")):
        file = world.root / "environments" / f"{environment}.toml"
        file.write_text(f'approvers = ["{role}"]\n{file.read_text()}')
    ask()
    status, body = answer("bob")
    assert (status, "approvals of prod: found a session of lockgate-approver" in body["message"]) == (403, True)
    center = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Releases_0123456789abcdef"
    assert read(approval.handler(signed.event(f"{center}/bob", APPROVE, "approval"), None))[0] == 200
    assert workflow.woken == [{"decision": "approve"}]


def test_an_approval_of_a_superseded_version_is_refused_and_a_rejection_taken(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    deployed = records.entry(records.deployment(version=2), 2, "prod")
    shared.ledger("test-ledger").append("income", deployed, "2026-11-21T00:00:00.000Z")
    status, body = answer("bob")
    assert (status, "superseded: version 2 is live in prod" in body["message"]) == (409, True)
    assert (kinds(world)[-1], workflow.woken) == ("deployment", [])
    assert answer("bob", REJECT)[0] == 200
    assert workflow.woken == [{"decision": "reject"}]


def test_a_body_that_claims_another_identity_is_refused(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    for claim in ("person", "user_arn", "actor", "requestContext"):
        assert answer("amelie", {**APPROVE, claim: f"{ROLE}/bob"})[0] == 400
    assert (len(world.records()), workflow.woken) == (2, [])


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:user/bob",
        "arn:aws:sts::123456789012:assumed-role/lockgate-delivery/bob",
        "arn:aws:sts::123456789012:assumed-role/lockgate-approver-not/bob",
        "arn:aws:sts::999999999999:assumed-role/lockgate-approver/bob",
        "arn:aws:sts::123456789012:assumed-role/lockgate-approver/",
        "arn:aws:sts::123456789012:assumed-role/lockgate-approver/bob/carol",
        "arn:aws:sts::123456789012:assumed-role/lockgate-approver/bob\n",
        "x arn:aws:sts::123456789012:assumed-role/lockgate-approver/bob",
    ],
)
def test_whoever_is_not_a_session_of_the_approver_role_is_refused(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str], arn: str
) -> None:
    ask()
    assert read(approval.handler(signed.event(arn, APPROVE, "approval"), None))[0] in (403, 503)
    assert (len(world.records()), workflow.woken) == (2, [])


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"headers": None},
        {"headers": {"x-lockgate-proof": ""}},
        {"requestContext": {"authorizer": {"iam": {"userArn": f"{ROLE}/bob", "accountId": "123456789012"}}}},
    ],
    ids=str,
)
def test_an_event_without_a_proof_is_refused_whatever_it_says_of_its_sender(
    world: World, ask: Callable[..., str], event: dict[str, Any]
) -> None:
    ask()
    status, body = read(approval.handler({"body": json.dumps(APPROVE), **event}, None))
    assert (status, "found no proof of who asks" in body["message"]) == (403, True)
    assert len(world.records()) == 2


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        '"approve"',
        {},
        {**APPROVE, "model": "../income"},
        {**APPROVE, "version": "latest"},
        {**APPROVE, "version": "-1"},
        {**APPROVE, "environment": "nowhere"},
        {**APPROVE, "decision": "approved"},
        {**APPROVE, "decision": ["approve"]},
        {**APPROVE, "reason": 7},
    ],
    ids=str,
)
def test_a_malformed_answer_is_a_400_and_changes_nothing(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str], body: object
) -> None:
    ask()
    assert answer("bob", body)[0] == 400
    assert (len(world.records()), workflow.woken) == (2, [])


def test_a_body_in_base64_is_read(workflow: ScriptedStepFunctions, ask: Callable[..., str]) -> None:
    ask()
    event = signed.event(f"{ROLE}/bob", APPROVE, "approval")
    event["body"] = base64.b64encode(json.dumps(APPROVE).encode()).decode()
    assert read(approval.handler({**event, "isBase64Encoded": True}, None))[0] == 200
    event["body"] = "%%%"
    assert read(approval.handler({**event, "isBase64Encoded": True}, None))[0] == 400


def test_where_nothing_waits_there_is_nothing_to_decide(world: World, ask: Callable[..., str]) -> None:
    assert answer("bob")[0] == 404
    ask()
    for change in ({"version": "2"}, {"environment": "dev"}, {"model": "churn"}):
        assert answer("bob", {**APPROVE, **change})[0] == 404
    assert len(world.records()) == 2


def test_an_expired_request_is_refused(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str], later: Callable[[int], None]
) -> None:
    ask()
    later(HOUR + 1)
    status, body = answer("bob")
    assert status == 409
    assert "expired at" in body["message"]
    assert (len(world.records()), workflow.woken) == (2, [])


def test_the_same_answer_by_the_same_person_again_is_the_same_record(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    first, second = answer("bob"), answer("bob")
    assert (first[0], second[0]) == (200, 200)
    assert first[1]["record"] == second[1]["record"]
    assert (len(world.records()), workflow.woken) == (3, [{"decision": "approve"}])


def test_a_handler_killed_before_it_woke_the_workflow_converges_when_asked_again(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    answer("bob")
    workflow.waiting.add("token-1")  # as if the first answer never got that far
    workflow.woken.clear()
    assert answer("bob")[0] == 200
    assert (len(world.records()), workflow.woken) == (3, [{"decision": "approve"}])


@pytest.mark.parametrize(("body", "decision"), [(APPROVE, "approve"), (REJECT, "reject")])
def test_what_a_killed_handler_recorded_is_woken_by_the_schedule_though_nobody_asks_again(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str], body: dict[str, Any], decision: str
) -> None:
    request = ask()
    answer("bob", body)
    workflow.waiting.add("token-1")  # as if the answer never got that far
    workflow.woken.clear()
    assert decide.handler({"action": "wake"}, None) == {"woken": [request]}
    assert workflow.woken == [{"decision": decision}]
    assert decide.handler({"action": "wake"}, None) == {"woken": []}


def test_the_schedule_wakes_nothing_that_is_undecided_has_expired_or_was_asked_anew(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str], later: Callable[[int], None]
) -> None:
    ask()
    assert decide.handler({"action": "wake"}, None) == {"woken": []}
    answer("bob")
    workflow.waiting.add("token-1")
    ask("token-2")
    assert decide.handler({"action": "wake"}, None) == {"woken": []}
    answer("bob")
    workflow.waiting.add("token-2")
    later(2 * HOUR)
    assert decide.handler({"action": "wake"}, None) == {"woken": []}


def test_what_is_decided_stays_decided(world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]) -> None:
    ask()
    answer("bob", REJECT)
    for person, body in (("carol", APPROVE), ("carol", REJECT), ("bob", APPROVE)):
        status, said = answer(person, body)
        assert status == 409
        assert "rejection by bob (income/3)" in said["message"]
    assert (len(world.records()), workflow.woken) == (3, [{"decision": "reject"}])


def test_when_the_workflow_waits_no_more_the_record_stays_and_the_answer_says_so(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    workflow.waiting.clear()
    workflow.executions["income-1"] = "ABORTED"
    for _ in range(2):
        status, body = answer("bob")
        assert status == 409
        assert "recorded as income/3, but the workflow waits no more (income-1: ABORTED)" in body["message"]
    assert kinds(world)[-1] == "approval"


@pytest.mark.parametrize(("body", "status"), [(APPROVE, "RUNNING"), (REJECT, "SUCCEEDED")], ids=["approve", "reject"])
def test_a_workflow_that_took_an_answer_is_said_to_have_gone_on_though_nobody_heard_it_take_it(
    workflow: ScriptedStepFunctions, ask: Callable[..., str], body: dict[str, str], status: str
) -> None:
    ask()
    workflow.loses_its_answer = True
    workflow.executions["income-1"] = status
    for _ in range(2):
        code, said = answer("bob", body)
        assert (code, said["record"], len(workflow.woken)) == (200, "income/3", 1)
        assert "the workflow waits for it no more: it has gone on" in said["message"]


def test_a_workflow_that_took_an_answer_and_whose_deployment_failed_since_has_gone_on_too(
    workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    answer("bob")
    workflow.executions["income-1"] = "FAILED"
    assert answer("bob")[0] == 409
    deployed = records.entry(records.deployment("failed"), 1, "prod")
    shared.ledger("test-ledger").append("income", deployed, "2026-11-21T00:00:00.000Z")
    assert answer("bob")[0] == 200


def test_two_approvals_by_the_same_person_count_once(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    world.configure("prod", approvals=2)
    ask()
    for _ in range(2):
        status, body = answer("bob")
        assert status == 200
        assert "1 of 2 approvals" in body["message"]
    assert (kinds(world).count("approval"), workflow.woken) == (1, [])
    tools = world.root / "environments" / "tools.toml"
    tools.write_text(tools.read_text().replace('users = ["bob"]', 'users = ["bob", "robert"]'))
    assert "1 of 2 approvals" in answer("robert")[1]["message"]
    assert answer("carol")[0] == 200
    assert workflow.woken == [{"decision": "approve"}]


def test_one_rejection_outweighs_an_approval(
    workflow: ScriptedStepFunctions, world: World, ask: Callable[..., str]
) -> None:
    world.configure("prod", approvals=2)
    ask()
    answer("bob")
    assert answer("carol", REJECT)[0] == 200
    assert answer("dave")[0] == 409
    assert workflow.woken == [{"decision": "reject"}]


def test_who_approved_may_still_reject_while_it_is_open(
    workflow: ScriptedStepFunctions, world: World, ask: Callable[..., str]
) -> None:
    world.configure("prod", approvals=2)
    ask()
    answer("bob")
    assert answer("bob", REJECT)[0] == 200
    assert workflow.woken == [{"decision": "reject"}]


def test_how_many_must_approve_is_what_was_asked_when_the_request_was_made(
    workflow: ScriptedStepFunctions, world: World, ask: Callable[..., str]
) -> None:
    world.configure("prod", approvals=2)
    ask()
    world.configure("prod", approvals=1)
    answer("bob")
    assert workflow.woken == []


def test_the_newest_request_counts_after_the_workflow_asked_again(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    assert [ask("token-1"), ask("token-1"), ask("token-2")] == ["income/2", "income/2", "income/3"]
    workflow.waiting.discard("token-1")
    assert answer("bob")[0] == 200
    assert (world.records()[-1]["body"]["request"], workflow.woken) == ("income/3", [{"decision": "approve"}])


def test_an_approval_of_an_older_request_does_not_answer_the_newer(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask("token-1")
    answer("bob")
    ask("token-2")
    assert workflow.woken == [{"decision": "approve"}]
    assert answer("bob")[0] == 200
    assert (kinds(world).count("approval"), len(workflow.woken)) == (2, 2)


@pytest.mark.parametrize(
    "change",
    [{"verdict_id": "income/9"}, {"version": "2"}, {"environment": "dev"}, {"verdict_id": "income/2"}],
    ids=str,
)
def test_a_request_must_name_the_verdict_it_asks_about(
    world: World, ask: Callable[..., str], change: dict[str, str]
) -> None:
    ask()
    event = {**world.gate_event(environment="prod"), "verdict_id": "income/1", "task_token": "t", **change}
    with pytest.raises(RefusedError, match="expected the verdict on"):
        approval_request.handler(event, None)
    assert len(world.records()) == 2


def test_nobody_is_asked_about_what_was_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVAL_SECONDS", "60")
    world.register(roc_auc=0.1)
    verdict = gate.handler(world.gate_event(environment="prod"), None)
    event = {**world.gate_event(environment="prod"), "verdict_id": verdict["verdict_id"], "task_token": "t"}
    with pytest.raises(RefusedError, match="nothing to approve"):
        approval_request.handler(event, None)


def test_stacks_that_wait_for_an_approval_do_not_trouble_the_schedule(
    workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    answer("bob")
    workflow.waiting.add("token-1")
    stacks = records.entry(records.stack_request(), 0, "prod")
    shared.ledger("test-ledger").append("infrastructure", stacks, records.TIME)
    assert decide.handler({"action": "wake"}, None) == {"woken": ["income/2"]}


def test_nobody_is_asked_about_what_the_environment_would_refuse(
    world: World, ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = "lockgate-prod-releases-123456789012-us-east-1"
    world.s3.create_bucket(Bucket=bucket)
    monkeypatch.setattr(reader, "look_into", lambda sts, **_: lambda service: world.s3)
    gone = records.release(1, verdict_id="income/1")
    back = Asked(
        action="rollback", person="olga", user_arn="arn", reason="slow", url="u", from_=gone, to=records.release(9)
    )
    Journal(world.s3, bucket, "income").append("rollback-1", back, "2026-11-21T00:00:00.000Z")
    with pytest.raises(RefusedError, match=r"version 1 was rolled back from .* by olga"):
        ask()
    assert [record["kind"] for record in world.records()] == ["verdict"], "nobody was asked"


def test_a_call_that_somebody_sends_again_answers_no_newer_request(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    """Who sees a call's log or memory has a proof for five minutes; it has made its one record."""
    ask()
    call = signed.event(f"{ROLE}/bob", APPROVE, "approval")
    assert read(approval.handler(call, None))[0] == 200
    ask("token-2")
    status, body = read(approval.handler(call, None))
    assert (status, body["message"]) == (409, "this very call was recorded as income/3: ask anew")
    assert kinds(world) == ["verdict", "approval-request", "approval", "approval-request"]
    assert workflow.waiting == {"token-2"}


def test_a_proof_of_a_rejection_or_of_another_path_or_function_approves_nothing(
    world: World, workflow: ScriptedStepFunctions, ask: Callable[..., str]
) -> None:
    ask()
    for said, path, audience in (
        (REJECT, "approval", signed.DECIDE),
        (APPROVE, "waiver", signed.DECIDE),
        (APPROVE, "approval", signed.BREAK_GLASS),
    ):
        call = signed.event(f"{ROLE}/bob", APPROVE, "approval")
        call["headers"] = signed.event(f"{ROLE}/bob", said, path, audience)["headers"]
        status, body = read(approval.handler(call, None))
        assert (status, "found one of another request" in body["message"]) == (403, True)
    assert (len(world.records()), workflow.woken) == (2, [])


def test_where_sts_cannot_be_asked_nobody_is_believed(
    world: World, ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    monkeypatch.setattr(caller_identity, "send", lambda *_: (500, ""))
    status, body = answer("bob")
    assert (status, "nobody is believed" in body["message"]) == (503, True)
    assert len(world.records()) == 2
