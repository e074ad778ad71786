"""How far the change of a release stack has come, told from what CloudFormation and ECS describe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lockgate.errors import BusyError, RefusedError
from lockgate.release.stack import Stack, continued, failure_of, progress_of_service

OURS, OTHERS = "income-2-prod", "income-1-prod"


def stack(status: str) -> Stack:
    return Stack("release-income", status, "why", {}, ())


def event(status: str, token: str = OURS, resource: str = "Service", reason: str = "") -> dict[str, Any]:
    return {
        "ResourceStatus": status,
        "ClientRequestToken": token,
        "LogicalResourceId": resource,
        "ResourceStatusReason": reason,
    }


def test_a_failure_is_told_by_its_first_failed_resource_which_is_not_one_that_was_cancelled() -> None:
    newest_first = [
        event("UPDATE_ROLLBACK_COMPLETE"),
        event("UPDATE_FAILED", resource="Scaling", reason="later"),
        event("UPDATE_FAILED", reason="the image cannot be pulled"),
        event("UPDATE_FAILED", resource="Alarm", reason="Resource update cancelled"),
        event("UPDATE_FAILED", token=OTHERS, reason="long ago"),
    ]
    assert failure_of(OURS, newest_first) == "Service: the image cannot be pulled"


def test_the_rollback_that_is_continued_belongs_to_the_update_that_it_ends() -> None:
    newest_first = [event("UPDATE_ROLLBACK_COMPLETE", token=continued(OURS)), event("UPDATE_FAILED", reason="no task")]
    assert failure_of(OURS, newest_first) == "Service: no task"


def test_an_update_whose_events_name_no_failed_resource_was_rolled_back() -> None:
    assert failure_of(OURS, [event("UPDATE_ROLLBACK_COMPLETE")]) == "rolled back"


def test_what_another_update_did_is_no_failure_of_ours_and_no_more_is_read() -> None:
    def events() -> Iterator[dict[str, Any]]:
        yield event("UPDATE_FAILED", token=OTHERS)
        pytest.fail("read on, though the update before was another's")

    assert failure_of(OURS, events()) == ""


def deployment(**changes: object) -> dict[str, object]:
    running = {"taskDefinition": "task:2", "rolloutState": "COMPLETED", "runningCount": 2, "desiredCount": 2}
    return {**running, **changes}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "SUCCEEDED"),
        ({"rolloutState": "IN_PROGRESS"}, "IN_PROGRESS"),
        ({"runningCount": 1}, "IN_PROGRESS"),
        ({"desiredCount": 0, "runningCount": 0}, "IN_PROGRESS"),
        ({"rolloutState": "FAILED"}, "FAILED"),
        ({"taskDefinition": "task:1"}, "FAILED"),
    ],
)
def test_a_service_has_arrived_when_it_runs_the_stacks_tasks_all_of_them(changes: dict[str, Any], status: str) -> None:
    assert progress_of_service("s", ["service"], [deployment(**changes)], ["task:2"]).status == status


@pytest.mark.parametrize(("services", "primary"), [([], []), (["one", "two"], []), (["one"], []), (["one"], [{}, {}])])
def test_a_stack_without_exactly_one_service_and_deployment_has_failed(services: list[str], primary: Any) -> None:
    assert progress_of_service("s", services, primary, ["task:2"]).status == "FAILED"


def test_a_stack_that_changes_is_busy_and_one_that_is_stuck_is_refused() -> None:
    stack("UPDATE_ROLLBACK_COMPLETE").refuse_if_busy()
    with pytest.raises(BusyError, match="another update runs"):
        stack("UPDATE_ROLLBACK_IN_PROGRESS").refuse_if_busy()
    with pytest.raises(RefusedError, match="found UPDATE_ROLLBACK_FAILED"):
        stack("UPDATE_ROLLBACK_FAILED").refuse_if_busy()
