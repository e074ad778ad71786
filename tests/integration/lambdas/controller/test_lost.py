"""The reconciler: each kind of loss is resumed once, what is not lost is left alone, what stays stuck is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import gate
from lambdas.controller import deployment as record
from lambdas.controller import lost, registered
from lockgate import names
from lockgate.aws.registry import Registry

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World


class Workflow:
    """Executions as the state machine lists them; only their names, status and input matter here."""

    def __init__(self, client: Any, machine: str) -> None:
        self._client = client
        self._machine = machine

    def run(self, name: str, status: str) -> None:
        """Let an execution have been started and have this status."""
        if name not in self.names():
            self._client.start_execution(stateMachineArn=self._machine, name=name, input="{}")
        self._set(name, status)

    def _set(self, name: str, status: str) -> None:
        from moto.stepfunctions.models import stepfunctions_backends

        machine = stepfunctions_backends["123456789012"]["us-east-1"].describe_state_machine(self._machine)
        (execution,) = [found for found in machine.executions if found.name == name]
        execution.status = status

    def names(self) -> set[str]:
        listed = self._client.list_executions(stateMachineArn=self._machine)["executions"]
        return {execution["name"] for execution in listed}


@pytest.fixture
def executions_of(promotion: str, sdk: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Workflow:
    monkeypatch.setenv("MODELS", "income")
    return Workflow(sdk("stepfunctions"), promotion)


def deploy(world: World, version: int, environment: str, execution: str, outcome: str = "succeeded") -> None:
    """Let the workflow have recorded the end of a deployment."""
    release = gate.handler(world.gate_event(version, environment), None)["release"]
    pinned = {**release, "model_version_id": "v"} if outcome == "succeeded" else None
    place = world.remember(pinned, environment, f"income-{version}-{environment}") if outcome == "succeeded" else None
    deployment = {"reason": "", "release": pinned, "url": "u", "place": place}
    event = {"model": "income", "version": str(version), "environment": environment, "execution": execution}
    record.handler({**event, "outcome": outcome, "release": release, "deployment": deployment}, None)


def stuck(sdk: Callable[[str], Any]) -> float:
    """What the metric says, that the alarm looks at."""
    day = {"StartTime": datetime(2020, 1, 1, tzinfo=UTC), "EndTime": datetime(2100, 1, 1, tzinfo=UTC)}
    metric = {"Namespace": "Lockgate", "MetricName": "Stuck"}
    found = sdk("cloudwatch").get_metric_statistics(**metric, **day, Period=60, Statistics=["Maximum"])["Datapoints"]
    return max(point["Maximum"] for point in found)


def test_a_package_whose_event_was_lost_is_started_under_the_name_that_the_event_would_have_used(
    world: World, executions: Callable[[], dict[str, Any]], executions_of: Workflow
) -> None:
    arn = world.register(7)
    assert lost.handler({}, None) == {"resumed": ["income-7"], "stuck": []}
    assert executions() == {"income-7": {"model": "income", "version": "7", "package_arn": arn}}
    late = {"detail-type": "SageMaker Model Package State Change", "detail": {"ModelPackageArn": arn}}
    registered.handler(late, None)
    assert lost.handler({}, None)["resumed"] == []
    assert len(executions()) == 1


def test_a_promotion_that_died_before_its_verdict_is_resumed_once_and_then_counted_as_stuck(
    world: World, executions_of: Workflow, sdk: Callable[[str], Any]
) -> None:
    world.register(1)
    executions_of.run("income-1", "FAILED")
    assert lost.handler({}, None) == {"resumed": ["income-1-R2"], "stuck": []}
    assert lost.handler({}, None) == {"resumed": [], "stuck": []}
    assert stuck(sdk) == 0
    executions_of.run("income-1-R2", "FAILED")
    for _ in range(2):
        assert lost.handler({}, None) == {
            "resumed": [],
            "stuck": ["income 1: no verdict for dev: income-1-R2 FAILED"],
        }
    assert executions_of.names() == {"income-1", "income-1-R2"}
    assert stuck(sdk) == 1


def test_a_verdict_without_a_deployment_is_resumed_once(world: World, executions_of: Workflow) -> None:
    world.register(1)
    gate.handler(world.gate_event(1), None)
    executions_of.run("income-1", "FAILED")
    assert lost.handler({}, None)["resumed"] == ["income-1-R2"]
    assert lost.handler({}, None)["resumed"] == []


def test_a_version_that_was_lost_between_two_environments_is_resumed(world: World, executions_of: Workflow) -> None:
    world.register(1)
    deploy(world, 1, "dev", "income-1")
    executions_of.run("income-1", "TIMED_OUT")
    assert lost.handler({}, None)["resumed"] == ["income-1-R2"]


def test_a_deployment_that_went_on_after_its_workflow_gave_up_is_resumed(world: World, executions_of: Workflow) -> None:
    world.register(1)
    deploy(world, 1, "dev", "income-1", "failed")
    deploy(world, 1, "dev", "income-1")  # as the environment remembered it
    executions_of.run("income-1", "FAILED")
    assert lost.handler({}, None)["resumed"] == ["income-1-R2"]


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "ABORTED"])
def test_what_runs_has_ended_well_or_was_stopped_by_a_person_is_left_alone(
    world: World, executions_of: Workflow, status: str
) -> None:
    world.register(1)
    executions_of.run("income-1", status)
    assert lost.handler({}, None) == {"resumed": [], "stuck": []}


def test_a_deployment_whose_failure_is_recorded_is_not_tried_again(world: World, executions_of: Workflow) -> None:
    world.register(1)
    deploy(world, 1, "dev", "income-1", "failed")
    executions_of.run("income-1", "FAILED")
    assert lost.handler({}, None) == {"resumed": [], "stuck": []}


def test_a_version_that_a_newer_one_overtook_is_left_alone(world: World, executions_of: Workflow) -> None:
    for version in (1, 2):
        world.register(version)
    executions_of.run("income-1", "FAILED")
    executions_of.run("income-2", "SUCCEEDED")
    deploy(world, 2, "prod", "income-2")
    assert lost.handler({}, None)["resumed"] == []


def test_what_serves_though_nothing_let_it_in_calls_a_person_until_something_else_does(
    world: World, executions_of: Workflow
) -> None:
    world.register(1)
    executions_of.run("income-1", "SUCCEEDED")
    deploy(world, 1, "prod", "income-1")
    (said,) = lost.handler({}, None)["stuck"]
    assert said == "income 1: serves in prod: income/1: found no 1 approvals of this verdict, expected them"


def test_a_version_that_a_person_decided_in_the_registry_is_not_started(world: World, executions_of: Workflow) -> None:
    world.register(1)
    world.sagemaker.packages[world.arn(1)]["ModelApprovalStatus"] = "Rejected"
    assert lost.handler({}, None) == {"resumed": [], "stuck": []}


def test_a_package_that_is_not_complete_waits(world: World, executions_of: Workflow) -> None:
    world.register(1)
    world.sagemaker.packages[world.arn(1)]["ModelPackageStatus"] = "InProgress"
    assert lost.handler({}, None) == {"resumed": [], "stuck": []}


def test_a_chain_that_cannot_be_read_is_stuck_and_keeps_no_other_models_versions(
    world: World, executions_of: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS", "churn,income")
    world.register(1)
    of = Registry.registered
    monkeypatch.setattr(Registry, "registered", lambda self, model, **since: of(self, "income", **since))
    world.s3.put_object(Bucket="test-ledger", Key=names.ledger_key("churn", 1), Body=b"hello")
    found = lost.handler({}, None)
    assert [each.partition(":")[0] for each in found["stuck"]] == ["churn"]
    assert len(found["resumed"]) == 1
