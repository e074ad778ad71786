"""Who may say what about stacks: a run of its own environment asks and reports, another person decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from lambdas.decide import stacks
from tests import signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

ACCOUNT = "123456789012"
AUTHOR = "100"  # amelie
ONE, TWO, COMMIT = "1" * 64, "2" * 64, "c" * 40
RUN = {
    "environment": "prod",
    "assembly": ONE,
    "commit": COMMIT,
    "run": "17.1",
}
DECISION = {"environment": "prod", "assembly": ONE, "reason": "read the review"}


def say(session: str, **body: Any) -> tuple[int, dict[str, Any]]:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{session}"
    answer = stacks.handler(signed.event(arn, body, "stacks"), None)
    return answer["statusCode"], json.loads(answer["body"])


def run_says(ask: str, environment: str = "prod", author: str = AUTHOR, **body: Any) -> tuple[int, dict[str, Any]]:
    said = {**RUN, "environment": environment, "ask": ask, **body}
    return say(f"lockgate-{environment}-infrastructure/{author}", **said)


def person_says(person: str, ask: str = "approve", **body: Any) -> tuple[int, dict[str, Any]]:
    return say(f"lockgate-approver/{person}", ask=ask, **{**DECISION, **body})


@pytest.fixture(autouse=True)
def ledger(world: World) -> Iterator[World]:
    """The world's ledger bucket; nothing is delivered in these tests."""
    yield world


def test_prod_waits_for_another_person_and_then_deploys_once() -> None:
    assert run_says("begin")[1]["state"] == "waiting"
    assert run_says("begin")[1]["state"] == "waiting"
    status, said = person_says("grace")
    assert (status, said["message"]) == (200, "recorded: 1 of 1 approvals")
    begun = run_says("begin")[1]
    assert (begun["state"], begun["approved_by"], begun["deployed"]) == ("approved", ["grace"], None)
    assert run_says("end", outcome="succeeded", reason="")[0] == 200
    again = run_says("begin")[1]
    assert (again["state"], again["deployed"]) == ("live", COMMIT)
    assert run_says("begin", assembly=TWO)[1]["state"] == "waiting"


def test_who_looks_is_told_what_is_deployed_and_asks_nobody() -> None:
    assert run_says("look")[1]["state"] == "unasked"
    assert person_says("grace")[0] == 404, "nothing waits"
    run_says("begin")
    person_says("grace")
    run_says("end", outcome="succeeded", reason="")
    looked = run_says("look", assembly=TWO)[1]
    assert (looked["state"], looked["deployed"]) == ("unasked", COMMIT)
    assert say("lockgate-dev-infrastructure/100", ask="look", **RUN)[0] == 403, "a run of another environment"


def test_who_made_the_change_does_not_approve_it() -> None:
    run_says("begin")
    assert person_says("amelie") == (
        403,
        {"message": "amelie delivered this commit, or one before it: another person has to decide"},
    )


def test_a_change_of_somebody_nobody_knows_cannot_be_approved_and_can_be_rejected() -> None:
    run_says("begin", author="999")
    status, said = person_says("grace")
    assert (status, "delivered by GitHub account 999, whom [persons]" in said["message"]) == (403, True)
    assert person_says("grace", "reject", reason="who is this?")[0] == 200


def test_nobody_decides_whom_the_configuration_does_not_know() -> None:
    run_says("begin")
    assert person_says("mallory")[0] == 403


def test_a_rejection_says_why_and_the_run_is_told() -> None:
    run_says("begin")
    assert person_says("grace", "reject", reason=" ")[0] == 400
    assert person_says("grace", "reject", reason="opens a port")[0] == 200
    found = run_says("begin")[1]
    assert (found["state"], found["reason"]) == ("rejected", "opens a port")
    assert person_says("bob")[0] == 409, "decided already"


def test_an_approval_of_another_assembly_than_the_one_that_waits_is_refused() -> None:
    run_says("begin")
    status, said = person_says("grace", assembly=TWO)
    assert status == 409
    assert f"waits for assembly {ONE} of commit {COMMIT}" in said["message"]
    assert person_says("grace", environment="dev")[0] == 404


def test_a_deployment_that_nobody_approved_is_not_taken_as_one() -> None:
    run_says("begin")
    status, said = run_says("end", outcome="succeeded", reason="")
    assert (status, "nobody approved" in said["message"]) == (409, True)


def test_a_failed_deployment_is_recorded_and_may_be_repeated() -> None:
    run_says("begin")
    person_says("grace")
    run_says("end", outcome="failed", reason="UPDATE_ROLLBACK_COMPLETE")
    assert run_says("begin", run="17.2")[1]["state"] == "approved"


@pytest.mark.parametrize(
    "session",
    [
        "lockgate-dev-infrastructure/run-17",
        "lockgate-delivery/run-17",
        "lockgate-approver/grace",
        "lockgate-prod-infrastructure-2/run-17",
    ],
)
@pytest.mark.parametrize("ask", ["begin", "end"])
def test_only_a_run_of_the_environment_itself_asks_and_reports(session: str, ask: str) -> None:
    ending = {"outcome": "succeeded", "reason": ""} if ask == "end" else {}
    assert say(session, ask=ask, **RUN, **ending)[0] == 403


@pytest.mark.parametrize("session", ["lockgate-prod-infrastructure/grace", "lockgate-delivery/grace"])
def test_no_run_approves_its_own_stacks(session: str) -> None:
    run_says("begin")
    assert say(session, ask="approve", **DECISION)[0] == 403


MALFORMED: dict[str, dict[str, Any]] = {
    "an unknown ask": {"ask": "deploy"},
    "no ask": {"ask": None},
    "a field too many": {"ask": "begin", "approved": "yes"},
    "another environment": {"ask": "begin", "environment": "moon"},
    "a short digest": {"ask": "begin", "assembly": "1" * 63},
    "a commit with a newline": {"ask": "begin", "commit": COMMIT[:-1] + "\n"},
    "a run with shell metacharacters": {"ask": "begin", "run": "$(reboot).1"},
    "a number for text": {"ask": "begin", "run": 17},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_question_is_answered_with_what_was_expected(what: str) -> None:
    status, said = say("lockgate-prod-infrastructure/run-17", **{**RUN, **MALFORMED[what]})
    assert (status, "expected" in said["message"]) == (400, True)


def test_stacks_of_tools_wait_for_as_many_persons_as_tools_say() -> None:
    assert run_says("begin", "tools")[1]["approvals"] == 1
