"""How far a deployment has come: success only when it really runs, and a failure with its cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from lockgate.release.hook_findings import HookFinding

if TYPE_CHECKING:
    from tests.integration.lambdas.deploy.conftest import EnvironmentAccount


ALARM = "lockgate-prod-release-income-Errors-1"


def test_a_whole_deployment_succeeds_and_says_what_is_live_and_where(prod: EnvironmentAccount) -> None:
    prod.start()
    assert prod.status()["status"] == "IN_PROGRESS"
    prod.cloudformation.status = "UPDATE_COMPLETE"
    answer = prod.status()
    version_id = prod.world.s3.head_object(Bucket="test-releases", Key=prod.model_key)["VersionId"]
    assert answer == {
        "status": "SUCCEEDED",
        "reason": "rollout COMPLETED, 2 of 2 tasks run",
        "release": {**prod.release_of("1"), "model_version_id": version_id},
        "url": "https://lb/income",
        "place": 2,
    }


@pytest.mark.parametrize(
    ("primary", "status"),
    [
        ({"rolloutState": "IN_PROGRESS"}, "IN_PROGRESS"),
        ({"runningCount": 1}, "IN_PROGRESS"),
        ({"runningCount": 0, "desiredCount": 0}, "IN_PROGRESS"),
        ({"rolloutState": "FAILED", "rolloutStateReason": "no healthy task"}, "FAILED"),
    ],
    ids=str,
)
def test_an_updated_stack_is_no_success_until_its_service_runs(
    prod: EnvironmentAccount, primary: dict[str, Any], status: str
) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.ecs.primary.update(primary)
    assert prod.status()["status"] == status


@pytest.mark.parametrize("resources", [[], [("AWS::ECS::Service", "one"), ("AWS::ECS::Service", "other")]], ids=len)
def test_a_stack_without_exactly_one_service_is_a_failure(
    prod: EnvironmentAccount, resources: list[tuple[str, str]]
) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.cloudformation.resources = resources
    assert prod.status()["status"] == "FAILED"


def test_an_updated_stack_is_no_success_while_its_service_runs_other_tasks(prod: EnvironmentAccount) -> None:
    """Somebody changed ECS past CloudFormation, which finds nothing to update when the release is promoted again."""
    prod.promote("1")
    prod.ecs.primary["taskDefinition"] = "somebodys:7"
    release = prod.release_of("1")
    assert prod.start("income-1-prod-again", release=release)["status"] == "IN_PROGRESS"
    answer = prod.status("income-1-prod-again", release=release)
    assert (answer["status"], answer["reason"]) == (
        "FAILED",
        "the stack made task:1, the service runs somebodys:7: `lockgate rollback --restore` puts it back",
    )


def test_a_service_that_was_deleted_is_no_success(prod: EnvironmentAccount) -> None:
    prod.start()
    prod.cloudformation.status, prod.ecs.status = "UPDATE_COMPLETE", "INACTIVE"
    answer = prod.status()
    assert (answer["status"], "found 0 primary deployments" in answer["reason"]) == ("FAILED", True)


def test_an_update_that_rolled_back_is_a_failure_with_its_cause(prod: EnvironmentAccount) -> None:
    before = dict(prod.cloudformation.parameters)
    prod.start()
    prod.roll_back()
    prod.cloudformation.parameters = before
    answer = prod.status()
    assert (answer["status"], answer["release"]) == ("FAILED", None)
    assert answer["reason"] == "UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"


def test_a_rollback_is_a_failure_even_if_the_stack_still_shows_the_wanted_parameters(prod: EnvironmentAccount) -> None:
    prod.start()
    prod.roll_back()
    assert prod.status()["status"] == "FAILED"


def test_a_rollback_that_is_still_running_is_not_yet_an_end(prod: EnvironmentAccount) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    assert prod.status()["status"] == "IN_PROGRESS"


def test_a_rollback_that_failed_is_continued_once_and_then_needs_a_person(prod: EnvironmentAccount) -> None:
    prod.start()
    prod.roll_back()
    prod.cloudformation.status = "UPDATE_ROLLBACK_FAILED"
    answer = prod.status()
    assert (answer["status"], "its rollback is continued" in answer["reason"]) == ("IN_PROGRESS", True)
    assert prod.status()["status"] == "IN_PROGRESS"
    prod.cloudformation.status = "UPDATE_ROLLBACK_FAILED"
    answer = prod.status()
    assert (answer["status"], answer["reason"]) == (
        "FAILED",
        "UPDATE_ROLLBACK_FAILED: Service: the image cannot be pulled",
    )
    assert len(prod.cloudformation.requests("ContinueUpdateRollback")) == 1


def test_a_rollback_that_went_through_at_the_second_attempt_is_a_failure_with_the_first_cause(
    prod: EnvironmentAccount,
) -> None:
    prod.start()
    prod.roll_back()
    prod.cloudformation.status = "UPDATE_ROLLBACK_FAILED"
    prod.status()
    prod.cloudformation.status = "UPDATE_ROLLBACK_COMPLETE"
    assert prod.status()["reason"] == "UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"


def test_what_a_hook_found_comes_first_in_the_reason_and_older_findings_do_not_count(prod: EnvironmentAccount) -> None:
    def find(name: str, verdict_id: str, passed: bool, message: str) -> None:
        body = HookFinding(verdict_id, passed, message).to_bytes()
        prod.world.s3.put_object(Bucket="test-releases", Key=f"income/findings/{name}.json", Body=body)

    prod.start()
    find("other", "income/9", False, "about another release")
    find("passed", "income/1", True, "replay: fine")
    find("failed", "income/1", False, "replay: the largest difference is 0.5 in row 3")
    prod.roll_back()
    assert prod.status()["reason"] == (
        "replay: the largest difference is 0.5 in row 3; UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"
    )


def test_the_alarms_that_went_off_during_the_attempt_are_in_the_reason_with_their_numbers(
    prod: EnvironmentAccount, sdk: Callable[[str], Any], scripted: type, use: Callable[[str, Any], None]
) -> None:
    class AlarmHistory(scripted):  # type: ignore[misc]
        """One alarm that went off and is well again."""

        service = "cloudwatch"

        def DescribeAlarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N802, N803
            return {"MetricAlarms": []}

        def DescribeAlarmHistory(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            assert (request["AlarmName"], request["HistoryItemType"]) == (ALARM, "StateUpdate")
            assert request["StartDate"] == datetime.fromisoformat(prod.journal("started")[0]["time"])
            states = [
                ("OK", "1 datapoint [0.0] was not"),
                ("ALARM", "Threshold Crossed: 1 datapoint [7.0] was >= (5.0)"),
            ]
            made = [{"newState": {"stateValue": state, "stateReason": reason}} for state, reason in states]
            return {"AlarmHistoryItems": [{"AlarmName": ALARM, "HistoryData": json.dumps(each)} for each in made]}

    cloudwatch = AlarmHistory(sdk)
    use("cloudwatch", cloudwatch.client)
    prod.cloudformation.resources.append(("AWS::CloudWatch::Alarm", ALARM))
    prod.start()
    prod.roll_back()
    assert prod.status()["reason"] == (
        f"{ALARM}: Threshold Crossed: 1 datapoint [7.0] was >= (5.0); "
        "UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"
    )
    cloudwatch.close()


def test_promoting_what_is_live_already_is_a_success_without_an_update(prod: EnvironmentAccount) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.start("income-1-prod-again")["status"] == "IN_PROGRESS"
    assert prod.status("income-1-prod-again")["status"] == "SUCCEEDED"


def test_what_is_live_after_another_release_was_rolled_back_counts_as_live(prod: EnvironmentAccount) -> None:
    prod.start()
    live = dict(prod.cloudformation.parameters)
    prod.cloudformation.happen("UPDATE_FAILED", "Service", "of the next release", token="income-2-prod")
    prod.cloudformation.happen("UPDATE_ROLLBACK_COMPLETE", token="income-2-prod")
    prod.cloudformation.status, prod.cloudformation.parameters = "UPDATE_ROLLBACK_COMPLETE", live
    prod.start("income-1-prod-again")
    assert prod.status("income-1-prod-again")["status"] == "SUCCEEDED"


def test_a_stack_that_pins_another_release_is_a_failure(prod: EnvironmentAccount) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.cloudformation.parameters["ReleaseVersion"] = "2"
    answer = prod.status()
    assert (answer["status"], answer["release"]["version"]) == ("FAILED", "2")
