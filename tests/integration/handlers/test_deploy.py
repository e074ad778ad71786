"""Deploy: the exact bytes, the exact release, one update at a time, and success only when it really runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lambdas import deploy, shared
from lockgate.errors import BusyError, NotFoundError, RefusedError
from lockgate.findings import Finding
from lockgate.release import PARAMETERS

if TYPE_CHECKING:
    from tests.integration.handlers.conftest import World

NAME = "lockgate-prod-release-income"
STACK_ARN = f"arn:aws:cloudformation:us-east-1:123456789012:stack/{NAME}/1"
SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/prod/income"
ROLE = "arn:aws:iam::123456789012:role/lockgate-prod-release-cfn"
BYTES = b"the model 1"
DIGEST = "sha256:" + "a" * 64
ROWS = b'{"instances":[{"age":1}],"predictions":[0.5]}'
SHA256 = hashlib.sha256(BYTES).hexdigest()
KEY = f"income/{SHA256}/model.tar.gz"
REPLAY_KEY = f"income/replays/{hashlib.sha256(ROWS).hexdigest()}.json"
RELEASE = {
    "version": "1",
    "commit": "c" * 40,
    "package_arn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/lockgate-income/1",
    "image": "111111111111.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@" + DIGEST,
    "model_sha256": SHA256,
    "replay_sha256": hashlib.sha256(ROWS).hexdigest(),
    "policy_sha256": "d" * 64,
    "verdict_id": "income/1",
}


@dataclass
class Environment:
    """An environment's account: CloudFormation, ECS, and the events of the release stack, newest first."""

    world: World
    cloudformation: Any
    ecs: Any
    ecr: Any
    source: dict[str, Any]
    error: Callable[[str, str], Exception]

    def start(self, token: str = "income-1-prod", **changes: Any) -> dict[str, Any]:  # noqa: S107
        return self._call({"action": "start", "token": token, **changes})

    def status(self, token: str = "income-1-prod", **changes: Any) -> dict[str, Any]:  # noqa: S107
        return self._call({"action": "status", "token": token, **changes})

    def _call(self, event: dict[str, Any]) -> dict[str, Any]:
        return deploy.handler({"model": "income", "release": RELEASE, "source": self.source, **event}, None)

    def promote(self, version: str) -> dict[str, str]:
        """Carry a version to its end; the release that it pins."""
        release = {**RELEASE, "version": version, "verdict_id": f"income/{version}"}
        self.start(f"income-{version}-prod", release=release)
        self.cloudformation.status = "UPDATE_COMPLETE"
        answer = self.status(f"income-{version}-prod", release=release)
        assert answer["status"] == "SUCCEEDED"
        return dict(answer["release"])

    def operate(self, action: str, token: str) -> dict[str, Any]:
        asked = {"person": "olga", "user_arn": "arn", "reason": "too slow"}
        return deploy.handler({"action": action, "model": "income", "token": token, **asked}, None)

    def end(self, token: str, **changes: Any) -> dict[str, Any]:
        self.cloudformation.status = "UPDATE_COMPLETE"
        return deploy.handler({"action": "status", "model": "income", "token": token, **changes}, None)

    def look(self) -> str:
        """What the environment's own schedule does."""
        return str(deploy.handler({"action": "look", "model": "income"}, None)["status"])

    def journal(self, *kinds: str) -> list[dict[str, Any]]:
        """The facts of these kinds; by default what was asked for and what ended."""
        keys = [key for key in self.copies() if "/journal/" in key]
        facts = [json.loads(self.world.s3.get_object(Bucket="test-releases", Key=key)["Body"].read()) for key in keys]
        return [fact for fact in facts if fact["kind"] in (kinds or ("asked", "deployment"))]

    def copies(self) -> list[str]:
        listed = self.world.s3.list_objects_v2(Bucket="test-releases").get("Contents", [])
        return [entry["Key"] for entry in listed]


@pytest.fixture
def prod(
    world: World,
    sdk: Callable[[str], Any],
    scripted: type,
    aws_error: Callable[[str, str], Exception],
    use: Callable[[str, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Environment]:
    class CloudFormation(scripted):  # type: ignore[misc]
        """One stack that updates when the test says so."""

        service = "cloudformation"
        status: str | None = "CREATE_COMPLETE"
        failure: Exception | None = None

        def __init__(self) -> None:
            super().__init__(sdk)
            self.parameters = {"BootstrapVersion": "/cdk-bootstrap/version", **dict.fromkeys(PARAMETERS.values(), "")}
            self.parameters["ReleaseMode"] = "gradual"
            self.events: list[dict[str, Any]] = []
            self.resources = [("AWS::ECS::TaskDefinition", "task:1"), ("AWS::ECS::Service", SERVICE)]

        def DescribeStacks(self, StackName: str) -> dict[str, Any]:  # noqa: N802, N803
            if StackName != NAME or self.status is None:
                raise aws_error("ValidationError", f"Stack with id {StackName} does not exist")
            parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()]
            stack = {"StackName": NAME, "CreationTime": "2026-11-21T00:00:00Z", "StackStatus": self.status}
            return {"Stacks": [{**stack, "Parameters": parameters}]}

        def UpdateStack(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            if self.failure:
                raise self.failure
            wanted = {entry["ParameterKey"]: entry.get("ParameterValue") for entry in request["Parameters"]}
            assert set(wanted) == set(self.parameters), "an omitted parameter would fall to its default"
            changed = {**self.parameters, **{key: value for key, value in wanted.items() if value is not None}}
            if changed == self.parameters:
                raise aws_error("ValidationError", "No updates are to be performed.")
            self.parameters, self.status = changed, "UPDATE_IN_PROGRESS"
            self.happen("UPDATE_IN_PROGRESS", token=request["ClientRequestToken"])
            return {"StackId": STACK_ARN}

        def happen(self, status: str, resource: str = NAME, reason: str = "", token: str = "income-1-prod") -> None:  # noqa: S107
            event = {"StackId": STACK_ARN, "EventId": str(len(self.events)), "StackName": NAME}
            facts = {"Timestamp": "2026-11-21T00:00:00Z", "LogicalResourceId": resource, "ResourceStatus": status}
            self.events.insert(0, {**event, **facts, "ResourceStatusReason": reason, "ClientRequestToken": token})

        def ContinueUpdateRollback(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            assert request["RoleARN"] == ROLE
            self.status = "UPDATE_ROLLBACK_IN_PROGRESS"
            self.happen("UPDATE_ROLLBACK_IN_PROGRESS", token=request["ClientRequestToken"])
            return {}

        def CancelUpdateStack(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            return {}

        def DescribeStackEvents(self, StackName: str) -> dict[str, Any]:  # noqa: N802, N803
            return {"StackEvents": self.events}

        def ListStackResources(self, StackName: str) -> dict[str, Any]:  # noqa: N802, N803
            shared = {"LastUpdatedTimestamp": "2026-11-21T00:00:00Z", "ResourceStatus": "UPDATE_COMPLETE"}
            return {
                "StackResourceSummaries": [
                    {"LogicalResourceId": kind[-7:], "ResourceType": kind, "PhysicalResourceId": physical, **shared}
                    for kind, physical in self.resources
                ]
            }

    class Ecs(scripted):  # type: ignore[misc]
        """One service."""

        service = "ecs"

        def __init__(self) -> None:
            super().__init__(sdk)
            self.running: list[str] = []
            self.status = "ACTIVE"
            self.primary: dict[str, Any] = {
                "taskDefinition": "task:1",
                "rolloutState": "COMPLETED",
                "runningCount": 2,
                "desiredCount": 2,
            }

        def ListServiceDeployments(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            assert (request["cluster"], request["service"]) == ("prod", SERVICE)
            return {"serviceDeployments": [{"serviceDeploymentArn": arn} for arn in self.running]}

        def StopServiceDeployment(self, serviceDeploymentArn: str, stopType: str) -> dict[str, Any]:  # noqa: N802, N803
            assert stopType == "ROLLBACK"
            self.running.remove(serviceDeploymentArn)
            return {"serviceDeploymentArn": serviceDeploymentArn}

        def DescribeServices(self, cluster: str, services: list[str]) -> dict[str, Any]:  # noqa: N802
            assert (cluster, services) == ("prod", [SERVICE])
            old = {"status": "ACTIVE", "rolloutState": "COMPLETED", "runningCount": 2, "desiredCount": 2}
            deployments = [old, {"status": "PRIMARY", **self.primary}]
            return {"services": [{"serviceArn": SERVICE, "status": self.status, "deployments": deployments}]}

    class Ecr(scripted):  # type: ignore[misc]
        """The environment's copies of images, as has_image asks for them; nothing is to be copied."""

        service = "ecr"

        def __init__(self) -> None:
            super().__init__(sdk)
            self.copies = {DIGEST}

        def BatchGetImage(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            asked = {image["imageDigest"] for image in request["imageIds"]}
            there = asked & self.copies if request["repositoryName"] == "copies" else set()
            return {"images": [{"imageId": {"imageDigest": digest}} for digest in there]}

    settings = {
        "ENVIRONMENT": "prod",
        "RELEASES_REPOSITORY": "copies",
        "CLUSTER": "prod",
        "SERVICE_URL": "https://lb",
        "RELEASE_ROLE_ARN": ROLE,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    put = world.s3.put_object(Bucket="test-models", Key="income/exec1/model.tar.gz", Body=BYTES)
    world.s3.put_object(Bucket="test-evidence", Key="income/exec1/replay.json", Body=ROWS)
    source = {
        "bucket": "test-models",
        "key": "income/exec1/model.tar.gz",
        "version_id": put["VersionId"],
        "replay": {"bucket": "test-evidence", "key": "income/exec1/replay.json"},
    }
    cloudformation, ecs, ecr = CloudFormation(), Ecs(), Ecr()
    use("cloudformation", cloudformation.client)
    use("ecs", ecs.client)
    use("ecr", ecr.client)
    yield Environment(world, cloudformation, ecs, ecr, source, aws_error)
    for each in (cloudformation, ecs, ecr):
        each.close()


def test_start_copies_the_exact_version_and_pins_it_with_the_narrow_role(prod: Environment) -> None:
    prod.world.s3.put_object(Bucket="test-models", Key=prod.source["key"], Body=b"a newer version")
    assert prod.start() == {"status": "IN_PROGRESS"}
    copy = prod.world.s3.get_object(Bucket="test-releases", Key=KEY)
    assert copy["Body"].read() == BYTES
    (request,) = prod.cloudformation.requests("UpdateStack")
    assert (request["RoleARN"], request["UsePreviousTemplate"], request["ClientRequestToken"]) == (
        ROLE,
        True,
        "income-1-prod",
    )
    sent = {entry["ParameterKey"]: entry for entry in request["Parameters"]}
    assert sent["BootstrapVersion"] == {"ParameterKey": "BootstrapVersion", "UsePreviousValue": True}
    wanted = {**RELEASE, "model_version_id": copy["VersionId"]}
    assert {name: sent[parameter]["ParameterValue"] for name, parameter in PARAMETERS.items()} == wanted


def test_a_whole_deployment_succeeds_and_says_what_is_live_and_where(prod: Environment) -> None:
    prod.start()
    assert prod.status()["status"] == "IN_PROGRESS"
    prod.cloudformation.status = "UPDATE_COMPLETE"
    answer = prod.status()
    version_id = prod.world.s3.head_object(Bucket="test-releases", Key=KEY)["VersionId"]
    assert answer == {
        "status": "SUCCEEDED",
        "reason": "rollout COMPLETED, 2 of 2 tasks run",
        "release": {**RELEASE, "model_version_id": version_id},
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
    prod: Environment, primary: dict[str, Any], status: str
) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.ecs.primary.update(primary)
    assert prod.status()["status"] == status


@pytest.mark.parametrize("resources", [[], [("AWS::ECS::Service", SERVICE), ("AWS::ECS::Service", "other")]], ids=len)
def test_a_stack_without_exactly_one_service_is_a_failure(prod: Environment, resources: list[tuple[str, str]]) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.cloudformation.resources = resources
    assert prod.status()["status"] == "FAILED"


def test_an_updated_stack_is_no_success_while_its_service_runs_other_tasks(prod: Environment) -> None:
    """Somebody changed ECS past CloudFormation, which finds nothing to update when the release is promoted again."""
    prod.promote("1")
    prod.ecs.primary["taskDefinition"] = "somebodys:7"
    release = {**RELEASE, "verdict_id": "income/1"}
    assert prod.start("income-1-prod-again", release=release) == {"status": "IN_PROGRESS"}
    answer = prod.status("income-1-prod-again", release=release)
    assert (answer["status"], answer["reason"]) == (
        "FAILED",
        "the stack made task:1, the service runs somebodys:7: `lockgate restore` puts it back",
    )


def test_a_service_that_was_deleted_is_no_success(prod: Environment) -> None:
    prod.start()
    prod.cloudformation.status, prod.ecs.status = "UPDATE_COMPLETE", "INACTIVE"
    answer = prod.status()
    assert (answer["status"], "found 0 primary deployments" in answer["reason"]) == ("FAILED", True)


def roll_back(prod: Environment) -> None:
    """As CloudFormation tells it: newest event first, the cause is the oldest failure."""
    happen = prod.cloudformation.happen
    happen("UPDATE_FAILED", "Service", "the image cannot be pulled")
    happen("UPDATE_FAILED", "Alarm", "Resource update cancelled")
    happen("UPDATE_ROLLBACK_IN_PROGRESS")
    happen("UPDATE_ROLLBACK_COMPLETE")
    prod.cloudformation.status = "UPDATE_ROLLBACK_COMPLETE"


def test_an_update_that_rolled_back_is_a_failure_with_its_cause(prod: Environment) -> None:
    before = dict(prod.cloudformation.parameters)
    prod.start()
    roll_back(prod)
    prod.cloudformation.parameters = before
    answer = prod.status()
    assert (answer["status"], answer["release"]) == ("FAILED", None)
    assert answer["reason"] == "UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"


def test_a_rollback_is_a_failure_even_if_the_stack_still_shows_the_wanted_parameters(prod: Environment) -> None:
    prod.start()
    roll_back(prod)
    assert prod.status()["status"] == "FAILED"


def test_a_rollback_that_is_still_running_is_not_yet_an_end(prod: Environment) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    assert prod.status()["status"] == "IN_PROGRESS"


def test_a_rollback_that_failed_is_continued_once_and_then_needs_a_person(prod: Environment) -> None:
    prod.start()
    roll_back(prod)
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
    prod: Environment,
) -> None:
    prod.start()
    roll_back(prod)
    prod.cloudformation.status = "UPDATE_ROLLBACK_FAILED"
    prod.status()
    prod.cloudformation.status = "UPDATE_ROLLBACK_COMPLETE"
    assert prod.status()["reason"] == "UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"


ALARM = "lockgate-prod-release-income-Errors-1"


def watch_alarm(prod: Environment, sdk: Callable[[str], Any], state: str) -> None:
    cloudwatch = sdk("cloudwatch")
    for name in (ALARM, "of-something-else"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/ApplicationELB",
            MetricName="HTTPCode_Target_5XX_Count",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            Statistic="Sum",
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
    cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="test")
    cloudwatch.set_alarm_state(AlarmName="of-something-else", StateValue="ALARM", StateReason="test")
    prod.cloudformation.resources.append(("AWS::CloudWatch::Alarm", ALARM))


def test_no_promotion_starts_while_a_guard_is_in_alarm(prod: Environment, sdk: Callable[[str], Any]) -> None:
    watch_alarm(prod, sdk, "ALARM")
    with pytest.raises(RefusedError, match=rf"^{ALARM}: in ALARM, and ECS would ignore that"):
        prod.start()
    assert (prod.cloudformation.requests("UpdateStack"), prod.journal()) == ([], [])
    watch_alarm(prod, sdk, "OK")
    assert prod.start() == {"status": "IN_PROGRESS"}


def test_a_rollback_goes_ahead_in_alarm_all_at_once(prod: Environment, sdk: Callable[[str], Any]) -> None:
    prod.promote("1")
    prod.promote("2")
    watch_alarm(prod, sdk, "ALARM")
    assert prod.operate("rollback", "rollback-1")["to"] == "1"
    modes = [
        {entry["ParameterKey"]: entry.get("ParameterValue") for entry in request["Parameters"]}["ReleaseMode"]
        for request in prod.cloudformation.requests("UpdateStack")
    ]
    assert modes == ["gradual", "gradual", "at-once"]


def test_the_service_is_protected_from_deletion_and_replacement_from_the_first_promotion_on(prod: Environment) -> None:
    prod.start()
    (request,) = prod.cloudformation.requests("UpdateStack")
    allow, deny = json.loads(request["StackPolicyBody"])["Statement"]
    assert (allow["Effect"], allow["Action"], allow["Resource"]) == ("Allow", "Update:*", "*")
    assert (deny["Effect"], deny["Action"], deny["Principal"]) == ("Deny", ["Update:Delete", "Update:Replace"], "*")
    assert deny["Condition"] == {"StringEquals": {"ResourceType": ["AWS::ECS::Service"]}}


def test_at_the_deadline_ecs_is_told_to_go_back_and_the_reason_says_so(prod: Environment) -> None:
    prod.start()
    prod.ecs.running = [f"{SERVICE}/deployment/1"]
    stop = {"action": "stop", "token": "income-1-prod"}
    assert prod._call(stop) == prod._call(stop) == {"status": "IN_PROGRESS"}
    assert len(prod.ecs.requests("StopServiceDeployment")) == 1
    roll_back(prod)
    reason = prod.status()["reason"]
    assert reason.startswith("deadline: the deployment did not end within 60 minutes: it was stopped; UPDATE_ROLLBACK")


def test_at_the_deadline_an_update_without_deployment_is_cancelled(prod: Environment) -> None:
    prod.start()
    prod._call({"action": "stop", "token": "income-1-prod"})
    assert len(prod.cloudformation.requests("CancelUpdateStack")) == 1
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod._call({"action": "stop", "token": "income-1-prod"})
    assert len(prod.cloudformation.requests("CancelUpdateStack")) == 1, "what has ended is not stopped"


def test_nothing_that_was_not_begun_here_is_stopped(prod: Environment) -> None:
    with pytest.raises(RefusedError, match="no attempt with token 'other'"):
        prod._call({"action": "stop", "token": "other"})


def test_a_look_stops_what_is_past_the_deadline_even_if_its_workflow_died(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.start()
    look = {"action": "look", "model": "income"}
    assert deploy.handler(look, None) == {"status": "IN_PROGRESS"}
    assert prod.cloudformation.requests("CancelUpdateStack") == []
    later = shared.now() + timedelta(minutes=61)
    monkeypatch.setattr(shared, "now", lambda: later)
    deploy.handler(look, None)
    assert len(prod.cloudformation.requests("CancelUpdateStack")) == 1


def test_an_attempt_keeps_the_deadline_that_was_configured_when_it_began(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.start()
    file = shared.ROOT / "environments" / "prod.toml"
    file.write_text(file.read_text().replace("deadline_minutes = 60", "deadline_minutes = 30"))
    began = shared.now()
    monkeypatch.setattr(shared, "now", lambda: began + timedelta(minutes=59))
    assert prod.look() == "IN_PROGRESS"
    assert prod.cloudformation.requests("CancelUpdateStack") == []
    monkeypatch.setattr(shared, "now", lambda: began + timedelta(minutes=61))
    prod.look()
    assert len(prod.cloudformation.requests("CancelUpdateStack")) == 1


def test_nobody_elses_update_is_stopped_at_the_deadline_of_an_attempt_that_failed(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.start()
    roll_back(prod)
    prod.cloudformation.happen("UPDATE_IN_PROGRESS", token="cdk-deploy")
    prod.cloudformation.status, prod.ecs.running = "UPDATE_IN_PROGRESS", [f"{SERVICE}/deployment/2"]
    later = shared.now() + timedelta(minutes=61)
    monkeypatch.setattr(shared, "now", lambda: later)
    assert prod.look() == "IN_PROGRESS"
    assert prod._call({"action": "stop", "token": "income-1-prod"}) == {"status": "IN_PROGRESS"}
    assert prod.cloudformation.requests("CancelUpdateStack") == prod.ecs.requests("StopServiceDeployment") == []


def test_what_a_hook_found_comes_first_in_the_reason_and_older_findings_do_not_count(prod: Environment) -> None:
    def find(name: str, verdict_id: str, passed: bool, message: str) -> None:
        body = Finding(verdict_id, passed, message).to_bytes()
        prod.world.s3.put_object(Bucket="test-releases", Key=f"income/findings/{name}.json", Body=body)

    prod.start()
    find("other", "income/9", False, "about another release")
    find("passed", "income/1", True, "replay: fine")
    find("failed", "income/1", False, "replay: the largest difference is 0.5 in row 3")
    roll_back(prod)
    assert prod.status()["reason"] == (
        "replay: the largest difference is 0.5 in row 3; UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"
    )


def test_the_alarms_that_went_off_during_the_attempt_are_in_the_reason_with_their_numbers(
    prod: Environment, sdk: Callable[[str], Any], scripted: type, use: Callable[[str, Any], None]
) -> None:
    class CloudWatch(scripted):  # type: ignore[misc]
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

    cloudwatch = CloudWatch(sdk)
    use("cloudwatch", cloudwatch.client)
    prod.cloudformation.resources.append(("AWS::CloudWatch::Alarm", ALARM))
    prod.start()
    roll_back(prod)
    assert prod.status()["reason"] == (
        f"{ALARM}: Threshold Crossed: 1 datapoint [7.0] was >= (5.0); "
        "UPDATE_ROLLBACK_COMPLETE: Service: the image cannot be pulled"
    )
    cloudwatch.close()


def test_promoting_what_is_live_already_is_a_success_without_an_update(prod: Environment) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.start("income-1-prod-again") == {"status": "IN_PROGRESS"}
    assert prod.status("income-1-prod-again")["status"] == "SUCCEEDED"


def test_what_is_live_after_another_release_was_rolled_back_counts_as_live(prod: Environment) -> None:
    prod.start()
    live = dict(prod.cloudformation.parameters)
    prod.cloudformation.happen("UPDATE_FAILED", "Service", "of the next release", token="income-2-prod")
    prod.cloudformation.happen("UPDATE_ROLLBACK_COMPLETE", token="income-2-prod")
    prod.cloudformation.status, prod.cloudformation.parameters = "UPDATE_ROLLBACK_COMPLETE", live
    prod.start("income-1-prod-again")
    assert prod.status("income-1-prod-again")["status"] == "SUCCEEDED"


def test_a_stack_that_pins_another_release_is_a_failure(prod: Environment) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.cloudformation.parameters["ReleaseVersion"] = "2"
    answer = prod.status()
    assert (answer["status"], answer["release"]["version"]) == ("FAILED", "2")


def test_the_same_start_again_while_it_runs_changes_nothing(prod: Environment) -> None:
    assert prod.start() == prod.start()
    assert len(prod.cloudformation.requests("UpdateStack")) == 1
    written = prod.world.s3.list_object_versions(Bucket="test-releases")["Versions"]
    assert sorted(entry["Key"] for entry in written) == [KEY, "income/journal/0000000001.json", REPLAY_KEY]


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "CREATE_IN_PROGRESS"])
def test_a_stack_that_another_update_changes_is_busy(prod: Environment, status: str) -> None:
    prod.cloudformation.status = status
    with pytest.raises(BusyError, match=status):
        prod.start()
    assert prod.cloudformation.requests("UpdateStack") == []


def test_an_update_that_begins_in_between_is_busy_too(prod: Environment) -> None:
    prod.cloudformation.failure = prod.error(
        "ValidationError", f"Stack:{STACK_ARN} is in UPDATE_IN_PROGRESS state and can not be updated."
    )
    with pytest.raises(BusyError, match="another update runs"):
        prod.start()


def test_start_during_the_rollback_of_the_same_release_waits_instead_of_claiming_progress(prod: Environment) -> None:
    prod.start()
    prod.cloudformation.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    with pytest.raises(BusyError):
        prod.start()


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"])
def test_a_stack_that_cannot_be_updated_is_refused_with_what_to_do(prod: Environment, status: str) -> None:
    prod.cloudformation.status = status
    with pytest.raises(RefusedError, match=rf"found {status}.*continue its rollback, or delete it"):
        prod.start()


def test_a_missing_release_stack_says_to_deploy_the_environment_first(prod: Environment) -> None:
    prod.cloudformation.status = None
    with pytest.raises(NotFoundError, match=r"deploy the environment first \(cdk deploy 'prod/\*'\)"):
        prod.start()
    answer = prod.status()
    assert (answer["status"], answer["release"]) == ("FAILED", None)
    assert "deploy the environment first" in answer["reason"]
    assert prod.copies() == []


def test_a_stack_of_an_older_template_is_refused(prod: Environment) -> None:
    del prod.cloudformation.parameters["ReleaseVerdictId"]
    with pytest.raises(RefusedError, match="has no parameters ReleaseVerdictId"):
        prod.start()


def test_no_update_to_perform_although_the_stack_pins_something_else_is_refused(prod: Environment) -> None:
    prod.cloudformation.failure = prod.error("ValidationError", "No updates are to be performed.")
    with pytest.raises(RefusedError, match="no update to perform, yet it pins None"):
        prod.start()


def test_another_failure_of_aws_is_raised_for_a_retry(prod: Environment) -> None:
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError, match="Rate exceeded"):
        prod.start()


def test_bytes_that_are_not_the_release_never_become_visible(prod: Environment) -> None:
    put = prod.world.s3.put_object(Bucket="test-models", Key=prod.source["key"], Body=b"replaced")
    with pytest.raises(RefusedError, match="it was replaced"):
        prod.start(source={**prod.source, "version_id": put["VersionId"]})
    assert (prod.copies(), prod.cloudformation.requests("UpdateStack")) == ([], [])


def test_a_source_version_that_is_gone_is_refused(prod: Environment) -> None:
    prod.world.s3.delete_object(Bucket="test-models", Key=prod.source["key"], VersionId=prod.source["version_id"])
    with pytest.raises(RefusedError, match="is gone"):
        prod.start()
    assert prod.copies() == []


def test_recorded_rows_that_are_not_the_verdicts_are_refused_before_anything_changes(prod: Environment) -> None:
    prod.world.s3.put_object(Bucket="test-evidence", Key="income/exec1/replay.json", Body=b"kinder rows")
    with pytest.raises(RefusedError, match=r"recorded rows: s3://test-evidence/.* it was replaced"):
        prod.start()
    prod.world.s3.delete_object(Bucket="test-evidence", Key="income/exec1/replay.json")
    with pytest.raises(RefusedError, match=r"recorded rows: .* is gone"):
        prod.start()
    assert prod.cloudformation.requests("UpdateStack") == []
    assert REPLAY_KEY not in prod.copies()


def test_a_copy_that_holds_other_bytes_is_refused(prod: Environment) -> None:
    prod.world.s3.put_object(Bucket="test-releases", Key=KEY, Body=b"something else")
    with pytest.raises(RefusedError, match=rf"s3://test-releases/{KEY}: SHA-256 found"):
        prod.start()
    assert prod.cloudformation.requests("UpdateStack") == []


def test_a_bucket_without_versions_is_refused(prod: Environment) -> None:
    prod.world.s3.put_bucket_versioning(Bucket="test-releases", VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(RefusedError, match="is the bucket versioned"):
        prod.start()


@pytest.mark.parametrize(
    "change",
    [
        {"action": "stop"},
        {"release": None},
        {"release": {**RELEASE, "model_version_id": "mine"}},
        {"release": {**RELEASE, "image": "r/lockgate-models:latest"}},
        {"release": {**RELEASE, "commit": ""}},
        {"model": "../income"},
    ],
    ids=str,
)
def test_an_event_that_makes_no_sense_changes_nothing(prod: Environment, change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        prod.start(**change)
    assert prod.cloudformation.requests("UpdateStack") == []


def test_a_rollback_pins_the_previous_release_as_it_was_without_asking_anybody_else(prod: Environment) -> None:
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


def test_what_was_rolled_back_from_is_not_started_again(prod: Environment) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.operate("rollback", "rollback-1")
    prod.end("rollback-1")
    updates = len(prod.cloudformation.requests("UpdateStack"))
    with pytest.raises(RefusedError, match=r"version 2 was rolled back from .* by olga \(too slow\)"):
        prod.promote("2")
    assert len(prod.cloudformation.requests("UpdateStack")) == updates


def test_the_same_rollback_asked_again_is_one_rollback(prod: Environment) -> None:
    prod.promote("1")
    prod.promote("2")
    assert prod.operate("rollback", "rollback-1") == prod.operate("rollback", "rollback-1")
    prod.end("rollback-1")
    assert prod.operate("rollback", "rollback-1")["to"] == "1"
    assert [fact["kind"] for fact in prod.journal()].count("asked") == 1


def test_a_rollback_that_died_before_its_update_goes_on_when_it_is_asked_again(prod: Environment) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError):
        prod.operate("rollback", "rollback-1")
    prod.cloudformation.failure = None
    prod.operate("rollback", "rollback-1")
    assert prod.end("rollback-1")["release"]["version"] == "1"


def test_a_look_between_what_a_rollback_writes_down_and_what_it_does_takes_it_for_no_failure(prod: Environment) -> None:
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
    prod: Environment, monkeypatch: pytest.MonkeyPatch
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


def test_a_failed_rollback_is_remembered_and_what_is_live_stays(prod: Environment) -> None:
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


def test_a_rollback_waits_for_no_other_update_and_leaves_no_trace_then(prod: Environment) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.cloudformation.status = "UPDATE_IN_PROGRESS"
    assert "another update runs" in prod.operate("rollback", "rollback-1")["refused"]
    assert len(prod.journal()) == 2


@pytest.mark.parametrize("versions", [[], ["1"]], ids=len)
def test_without_a_previous_release_a_rollback_is_refused(prod: Environment, versions: list[str]) -> None:
    for version in versions:
        prod.promote(version)
    assert prod.operate("rollback", "rollback-1")["refused"].startswith("rollback: ")
    assert len(prod.journal()) == len(versions)


def test_a_rollback_to_an_image_that_the_environment_has_no_copy_of_is_refused(prod: Environment) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.ecr.copies.clear()
    assert "has no copy of its image" in prod.operate("rollback", "rollback-1")["refused"]
    assert [fact["kind"] for fact in prod.journal()] == ["deployment", "deployment"]


def test_a_stack_made_anew_gets_back_what_was_live_last(prod: Environment) -> None:
    release = prod.promote("1")
    prod.cloudformation.parameters |= dict.fromkeys(PARAMETERS.values(), "")
    prod.cloudformation.status = "CREATE_COMPLETE"
    assert prod.operate("restore", "restore-1") == {"status": "IN_PROGRESS", "from": None, "to": "1"}
    assert prod.end("restore-1")["release"] == release


def test_a_stack_that_was_changed_and_not_lost_is_not_restored(prod: Environment) -> None:
    prod.promote("1")
    prod.cloudformation.parameters["ReleaseVersion"] = "2"
    assert "pins version 2: it was changed, not lost" in prod.operate("restore", "restore-1")["refused"]


def test_a_service_that_was_changed_past_its_stack_is_restored_by_an_update_that_changes_something(
    prod: Environment,
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


def test_the_progress_of_a_token_nobody_asked_with_is_refused(prod: Environment) -> None:
    with pytest.raises(RefusedError, match="expected all fields"):
        prod.end("rollback-unknown")


def test_an_end_that_nobody_waited_for_is_remembered_as_the_workflow_would_have_had_it(prod: Environment) -> None:
    prod.start()
    assert prod.look() == "IN_PROGRESS"
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.look() == "SUCCEEDED"
    (ended,) = prod.journal("deployment")
    assert (ended["token"], ended["body"]["outcome"], ended["body"]["url"]) == (
        "income-1-prod",
        "succeeded",
        "https://lb/income",
    )
    assert prod.look() == "NOTHING"
    assert prod.status()["place"] == ended["sequence"]


def test_a_promotion_that_died_before_its_update_is_not_taken_for_an_end(prod: Environment) -> None:
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError):
        prod.start()
    assert prod.look() == "FAILED"
    assert prod.journal() == []
    prod.cloudformation.failure = None
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.look() == "SUCCEEDED"
    assert [fact["kind"] for fact in prod.journal("started", "deployment")] == ["started", "deployment"]


def test_the_end_of_a_rollback_that_nobody_waited_for_is_remembered(prod: Environment) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.operate("rollback", "rollback-1")
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.look() == "SUCCEEDED"
    assert prod.journal()[-1]["token"] == "rollback-1"


def test_where_nothing_was_ever_begun_there_is_nothing_to_look_for(prod: Environment) -> None:
    assert prod.look() == "NOTHING"


def test_a_version_approved_after_a_newer_one_went_live_is_refused(prod: Environment) -> None:
    prod.promote("3")
    with pytest.raises(RefusedError, match=r"version 2 was superseded: version 3 is live"):
        prod.promote("2")
    assert len(prod.cloudformation.requests("UpdateStack")) == 1


def test_of_two_promotions_at_once_the_second_waits_and_then_the_newer_version_is_live(prod: Environment) -> None:
    prod.start("income-3-prod", release={**RELEASE, "version": "3", "verdict_id": "income/3"})
    with pytest.raises(BusyError):
        prod.promote("2")
    prod.cloudformation.status = "UPDATE_COMPLETE"
    with pytest.raises(RefusedError, match="superseded"):
        prod.promote("2")
    prod.promote("4")
    assert prod.cloudformation.parameters["ReleaseVersion"] == "4"


def test_a_promotion_that_follows_at_once_hides_nothing_from_whoever_waits_for_the_one_before(
    prod: Environment,
) -> None:
    prod.promote("1")
    second, third = ({**RELEASE, "version": version, "verdict_id": f"income/{version}"} for version in "23")
    prod.start("income-2-prod", release=second)
    prod.cloudformation.status = "UPDATE_COMPLETE"  # and the third comes before anybody asks
    prod.start("income-3-prod", release=third)
    answer = prod.status("income-2-prod", release=second)
    assert (answer["status"], answer["release"]["version"]) == ("SUCCEEDED", "2")
    assert prod.end("income-3-prod", release=third)["status"] == "SUCCEEDED"
    assert [fact["body"]["release"]["version"] for fact in prod.journal("deployment")] == ["1", "2", "3"]
    assert prod.operate("rollback", "rollback-1")["to"] == "2"


def test_a_failure_that_a_promotion_follows_at_once_is_none_of_its_successes(prod: Environment) -> None:
    prod.promote("1")
    before = dict(prod.cloudformation.parameters)
    second, third = ({**RELEASE, "version": version, "verdict_id": f"income/{version}"} for version in "23")
    prod.start("income-2-prod", release=second)
    prod.cloudformation.parameters, prod.cloudformation.status = before, "UPDATE_ROLLBACK_COMPLETE"
    prod.cloudformation.happen("UPDATE_ROLLBACK_COMPLETE", token="income-2-prod")
    prod.start("income-3-prod", release=third)
    assert prod.end("income-3-prod", release=third)["status"] == "SUCCEEDED"
    assert prod.status("income-2-prod", release=second)["status"] == "FAILED"
    assert [fact["body"]["release"]["version"] for fact in prod.journal("deployment")] == ["1", "3"]


def while_it_copies(happens: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen during the copies of the next start, once."""
    copy_replay = deploy.copy_replay

    def slowly(*arguments: Any) -> None:
        monkeypatch.setattr(deploy, "copy_replay", copy_replay)
        happens()
        copy_replay(*arguments)

    monkeypatch.setattr(deploy, "copy_replay", slowly)


def test_a_promotion_that_another_overtook_while_it_copied_sees_it(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other begins and ends between this one's first look at the stack and its last copy."""
    prod.promote("1")
    second, third = ({**RELEASE, "version": version, "verdict_id": f"income/{version}"} for version in "23")

    def overtakes() -> None:
        prod.start("income-3-prod", release=third)
        prod.cloudformation.status = "UPDATE_COMPLETE"

    while_it_copies(overtakes, monkeypatch)
    with pytest.raises(RefusedError, match="version 2 was superseded: version 3 is live"):
        prod.start("income-2-prod", release=second)
    assert prod.cloudformation.parameters["ReleaseVersion"] == "3"


def test_a_promotion_waits_for_one_that_it_met_while_it_copied_and_hides_nothing_of_it(
    prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.promote("1")
    second, third = ({**RELEASE, "version": version, "verdict_id": f"income/{version}"} for version in "23")
    while_it_copies(lambda: prod.start("income-2-prod", release=second), monkeypatch)
    with pytest.raises(BusyError):
        prod.start("income-3-prod", release=third)
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.start("income-3-prod", release=third)
    assert prod.status("income-2-prod", release=second)["status"] == "SUCCEEDED"


def test_a_promotion_waits_until_the_tasks_of_the_one_before_run(prod: Environment) -> None:
    prod.start("income-2-prod", release={**RELEASE, "version": "2", "verdict_id": "income/2"})
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod.ecs.primary["runningCount"] = 1
    with pytest.raises(BusyError, match="attempt income-2-prod has not ended"):
        prod.start("income-3-prod", release={**RELEASE, "version": "3", "verdict_id": "income/3"})


def test_an_older_version_may_follow_when_the_newer_one_was_taken_back(prod: Environment) -> None:
    prod.promote("1")
    prod.promote("3")
    prod.operate("rollback", "rollback-1")
    prod.end("rollback-1")
    assert prod.promote("2")["version"] == "2"
