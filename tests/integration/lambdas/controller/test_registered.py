"""Intake: a package is started once, whatever arrives twice, late, reordered or about nothing we know."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lambdas import gate
from lambdas.controller import lost, registered

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World


def change(world: World, version: int, approval: str = "PendingManualApproval") -> dict[str, Any]:
    """EventBridge's event for a package, as SageMaker sends it."""
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": "2026-11-21T17:00:14Z",
        "region": "us-east-1",
        "resources": [world.arn(version)],
        "detail": {
            "ModelPackageGroupName": "lockgate-income",
            "ModelPackageVersion": version,
            "ModelPackageArn": world.arn(version),
            "CreationTime": 1583428782174,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": approval,
        },
    }


def test_a_registered_package_starts_the_promotion_named_after_it(
    world: World, executions: Callable[[], dict[str, Any]]
) -> None:
    arn = world.register(7)
    assert registered.handler(change(world, 7), None)["started"] == ["income-7"]
    assert executions() == {"income-7": {"model": "income", "version": "7", "package_arn": arn}}


def test_an_execution_that_ended_is_not_started_again(
    world: World, promotion: str, sdk: Callable[[str], Any], executions: Callable[[], dict[str, Any]]
) -> None:
    world.register(1)
    registered.handler(change(world, 1), None)
    client = sdk("stepfunctions")
    arn = client.list_executions(stateMachineArn=promotion)["executions"][0]["executionArn"]
    client.stop_execution(executionArn=arn)
    assert registered.handler(change(world, 1), None)["handled"] == ["income-1"]
    assert len(executions()) == 1


@pytest.mark.parametrize("approval", ["Approved", "Rejected"])
def test_a_late_event_about_a_package_that_was_decided_starts_nothing(
    world: World, executions: Callable[[], dict[str, Any]], approval: str
) -> None:
    world.register(1)
    world.sagemaker.packages[world.arn(1)]["ModelApprovalStatus"] = approval
    answer = registered.handler(change(world, 1, "PendingManualApproval"), None)
    assert answer["handled"] == [f"{world.arn(1)}: Completed, {approval}"]
    assert executions() == {}


def test_a_package_that_is_not_complete_starts_nothing_yet(
    world: World, executions: Callable[[], dict[str, Any]]
) -> None:
    world.register(1)
    world.sagemaker.packages[world.arn(1)]["ModelPackageStatus"] = "InProgress"
    registered.handler(change(world, 1), None)
    assert executions() == {}
    world.sagemaker.packages[world.arn(1)]["ModelPackageStatus"] = "Completed"
    registered.handler(change(world, 1), None)
    assert list(executions()) == ["income-1"]


def test_an_event_about_an_unknown_package_is_refused_and_not_raised(
    world: World, executions: Callable[[], dict[str, Any]]
) -> None:
    assert registered.handler(change(world, 9), None)["refused"] == [f"{world.arn(9)}: no such package"]
    assert executions() == {}


def test_a_package_of_a_group_that_is_not_ours_is_refused(
    world: World, executions: Callable[[], dict[str, Any]]
) -> None:
    world.register(1)
    world.sagemaker.packages[world.arn(1)]["ModelPackageGroupName"] = "somebody-else"
    (reason,) = registered.handler(change(world, 1), None)["refused"]
    assert "'somebody-else' belongs to none of income, churn" in reason
    assert executions() == {}


@pytest.mark.parametrize("detail", [{}, {"ModelPackageArn": ""}, {"ModelPackageArn": None}], ids=str)
def test_an_event_without_a_package_is_refused(
    world: World, executions: Callable[[], dict[str, Any]], detail: dict[str, Any]
) -> None:
    event = {**change(world, 1), "detail": detail}
    assert len(registered.handler(event, None)["refused"]) == 1
    assert executions() == {}


def test_a_failure_of_aws_is_raised_for_a_retry(world: World, promotion: str) -> None:
    world.register(1)
    world.sagemaker.fail("ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        registered.handler(change(world, 1), None)


EVENTS = ("change 1", "change 2", "change 1", "schedule", "gate 1", "gate 1")


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(EVENTS)))[::9], ids=", ".join)
def test_any_order_and_number_of_events_ends_in_one_execution_and_one_verdict_a_package(
    world: World, executions: Callable[[], dict[str, Any]], order: tuple[str, ...]
) -> None:
    """Two packages, one good and one bad; whatever comes twice, late or first, the end is the same."""
    world.register(1)
    world.register(2, roc_auc=0.5)
    for name in (*order, "schedule", "gate 1", "gate 2"):
        kind, _, version = name.partition(" ")
        if kind == "change":
            registered.handler(change(world, int(version)), None)
        elif kind == "schedule":
            lost.handler({}, None)
        else:
            gate.handler(world.gate_event(int(version)), None)
    assert {"income-2"} <= set(executions()) <= {"income-1", "income-2"}
    assert [(record["version"], record["body"]["outcome"]) for record in world.records()] == [
        (1, "passed"),
        (2, "failed"),
    ]
    assert (world.status(1), world.status(2)) == ("Approved", "Rejected")
