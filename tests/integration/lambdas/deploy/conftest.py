"""An environment of one model for the deploy function: its stack, service and images say what a test wants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import deploy, shared
from lambdas.deploy.operation import operate
from lambdas.deploy.place import Place
from lockgate.ledger.kinds import Approval
from lockgate.ledger.records import Entry, Record
from lockgate.names import ledger_key
from lockgate.release.parameters import PARAMETERS
from lockgate.release.workflow import OperatorRequest, read_message
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

NAME = "lockgate-prod-release-income"
STACK_ARN = f"arn:aws:cloudformation:us-east-1:123456789012:stack/{NAME}/1"
SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/prod/income"
ROLE = "arn:aws:iam::123456789012:role/lockgate-prod-release-cfn"
BYTES = b"the model 1"
DIGEST = "sha256:" + "a" * 64
ROWS = b'{"instances":[{"age":1}],"predictions":[0.5]}'
SHA256, ROWS_SHA256 = (hashlib.sha256(data).hexdigest() for data in (BYTES, ROWS))
RELEASE = {
    "version": "1",
    "commit": "c" * 40,
    "package_arn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/lockgate-income/1",
    "image": "111111111111.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@" + DIGEST,
    "model_sha256": SHA256,
    "replay_sha256": ROWS_SHA256,
    "policy_sha256": "d" * 64,
    "verdict_id": "income/1",
}


def release_is_whole(release: object) -> bool:
    return isinstance(release, dict) and release.keys() == RELEASE.keys() and str(release["version"]).isdigit()


@dataclass
class EnvironmentAccount:
    """An environment's account: CloudFormation, ECS, and the events of the release stack, newest first."""

    world: World
    cloudformation: Any
    ecs: Any
    ecr: Any
    source: dict[str, Any]
    error: Callable[[str, str], Exception]
    model_key: str = f"income/{SHA256}/model.tar.gz"
    rows_key: str = f"income/replays/{ROWS_SHA256}.json"

    def release_of(self, version: str) -> dict[str, str]:
        """What a promotion asks for."""
        return {**RELEASE, "version": version, "verdict_id": f"income/{version}"}

    def let_in(self, release: dict[str, str] = RELEASE, **changes: Any) -> None:
        """Write the verdict that a release names, about this very one, where its record lies."""
        model, _, number = release["verdict_id"].partition("/")
        judged = ("commit", "package_arn", "image", "model_sha256", "replay_sha256", "policy_sha256")
        body = records.verdict(**{**{name: release[name] for name in judged}, **changes})
        entry = Entry("verdict", int(release["version"]), "prod", body)
        record = Record(model, int(number), "0" * 64, records.TIME, entry)
        self.world.s3.put_object(Bucket="test-ledger", Key=ledger_key(model, int(number)), Body=record.to_bytes())

    def approve(self, number: int, person: str) -> None:
        """Write an approval of income/1 by a person as record `number`."""
        said = {**records.SAID, "person": person, "authors": (), "request": "income/9", "verdict_id": "income/1"}
        record = Record("income", number, "0" * 64, records.TIME, Entry("a", 1, "prod", Approval(**said)))
        self.world.s3.put_object(Bucket="test-ledger", Key=ledger_key("income", number), Body=record.to_bytes())

    def start(self, token: str = "income-1-prod", **changes: Any) -> dict[str, Any]:  # noqa: S107
        """Begin a promotion of what a verdict let in."""
        if release_is_whole(release := changes.get("release", RELEASE)):
            self.let_in(release)
        return self.start_unjudged(token, **changes)

    def start_unjudged(self, token: str = "income-1-prod", **changes: Any) -> dict[str, Any]:  # noqa: S107
        return self._call({"action": "start", "token": token, **changes})

    def status(self, token: str = "income-1-prod", **changes: Any) -> dict[str, Any]:  # noqa: S107
        return self._call({"action": "status", "token": token, **changes})

    def _call(self, event: dict[str, Any]) -> dict[str, Any]:
        return deploy.handler({"model": "income", "release": RELEASE, "source": self.source, **event}, None)

    def promote(self, version: str) -> dict[str, str]:
        """Carry a version to its end; the release that it pins."""
        release = self.release_of(version)
        self.start(f"income-{version}-prod", release=release)
        self.cloudformation.status = "UPDATE_COMPLETE"
        answer = self.status(f"income-{version}-prod", release=release)
        assert answer["status"] == "SUCCEEDED"
        return dict(answer["release"])

    def operate(self, action: str, token: str) -> dict[str, Any]:
        """As the door does, once it has seen who asks."""
        asked = {"person": "olga", "user_arn": "arn", "reason": "too slow"}
        request = read_message(OperatorRequest, {"action": action, "model": "income", "token": token, **asked})
        return operate(Place(shared.settings(deploy.Settings), "income"), request)

    def end(self, token: str, **changes: Any) -> dict[str, Any]:
        self.cloudformation.status = "UPDATE_COMPLETE"
        return deploy.handler({"action": "status", "model": "income", "token": token, **changes}, None)

    def roll_back(self) -> None:
        """As CloudFormation tells it: newest event first, the cause is the oldest failure."""
        happen = self.cloudformation.happen
        happen("UPDATE_FAILED", "Service", "the image cannot be pulled")
        happen("UPDATE_FAILED", "Alarm", "Resource update cancelled")
        happen("UPDATE_ROLLBACK_IN_PROGRESS")
        happen("UPDATE_ROLLBACK_COMPLETE")
        self.cloudformation.status = "UPDATE_ROLLBACK_COMPLETE"

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
) -> Iterator[EnvironmentAccount]:
    class CloudFormation(scripted):  # type: ignore[misc]
        """One stack that updates when the test says so."""

        service = "cloudformation"
        arn, role = STACK_ARN, ROLE
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
        arn = SERVICE

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
    yield EnvironmentAccount(world, cloudformation, ecs, ecr, source, aws_error)
    for each in (cloudformation, ecs, ecr):
        each.close()
