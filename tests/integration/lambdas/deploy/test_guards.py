"""Alarms before a deployment begins, and the deadline at which it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import deploy, shared
from lockgate.errors import RefusedError

if TYPE_CHECKING:
    from tests.integration.lambdas.deploy.conftest import EnvironmentAccount


ALARM = "lockgate-prod-release-income-Errors-1"


def watch_alarm(prod: EnvironmentAccount, sdk: Callable[[str], Any], state: str) -> None:
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


def test_no_promotion_starts_while_a_guard_is_in_alarm(prod: EnvironmentAccount, sdk: Callable[[str], Any]) -> None:
    watch_alarm(prod, sdk, "ALARM")
    with pytest.raises(RefusedError, match=rf"^{ALARM}: in ALARM, and ECS would ignore that"):
        prod.start()
    assert (prod.cloudformation.requests("UpdateStack"), prod.journal()) == ([], [])
    watch_alarm(prod, sdk, "OK")
    assert prod.start()["status"] == "IN_PROGRESS"


def test_a_rollback_goes_ahead_in_alarm_all_at_once(prod: EnvironmentAccount, sdk: Callable[[str], Any]) -> None:
    prod.promote("1")
    prod.promote("2")
    watch_alarm(prod, sdk, "ALARM")
    assert prod.operate("rollback", "rollback-1")["to"] == "1"
    modes = [
        {entry["ParameterKey"]: entry.get("ParameterValue") for entry in request["Parameters"]}["ReleaseMode"]
        for request in prod.cloudformation.requests("UpdateStack")
    ]
    assert modes == ["gradual", "gradual", "at-once"]


def test_at_the_deadline_ecs_is_told_to_go_back_and_the_reason_says_so(prod: EnvironmentAccount) -> None:
    prod.start()
    prod.ecs.running = [f"{prod.ecs.arn}/deployment/1"]
    stop = {"action": "stop", "token": "income-1-prod"}
    assert prod._call(stop) == prod._call(stop) == {"status": "IN_PROGRESS"}
    assert len(prod.ecs.requests("StopServiceDeployment")) == 1
    prod.roll_back()
    reason = prod.status()["reason"]
    assert reason.startswith("deadline: the deployment did not end within 60 minutes: it was stopped; UPDATE_ROLLBACK")


def test_at_the_deadline_an_update_without_deployment_is_cancelled(prod: EnvironmentAccount) -> None:
    prod.start()
    prod._call({"action": "stop", "token": "income-1-prod"})
    assert len(prod.cloudformation.requests("CancelUpdateStack")) == 1
    prod.cloudformation.status = "UPDATE_COMPLETE"
    prod._call({"action": "stop", "token": "income-1-prod"})
    assert len(prod.cloudformation.requests("CancelUpdateStack")) == 1, "what has ended is not stopped"


def test_nothing_that_was_not_begun_here_is_stopped(prod: EnvironmentAccount) -> None:
    with pytest.raises(RefusedError, match="no attempt with token 'other'"):
        prod._call({"action": "stop", "token": "other"})


def test_a_look_stops_what_is_past_the_deadline_even_if_its_workflow_died(
    prod: EnvironmentAccount, monkeypatch: pytest.MonkeyPatch
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
    prod: EnvironmentAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.start()
    file = shared.ROOT / "environments" / "prod.toml"
    file.write_text(file.read_text().replace("deadline_minutes = 60", "deadline_minutes = 30"))
    assert prod.start()["deadline_minutes"] == 60, "its workflow is told, and told again if it asks again"
    assert prod.start("income-1-prod-again")["deadline_minutes"] == 60, "and so is one that takes its place"
    began = shared.now()
    monkeypatch.setattr(shared, "now", lambda: began + timedelta(minutes=59))
    assert prod.look() == "IN_PROGRESS"
    assert prod.cloudformation.requests("CancelUpdateStack") == []
    monkeypatch.setattr(shared, "now", lambda: began + timedelta(minutes=61))
    prod.look()
    assert len(prod.cloudformation.requests("CancelUpdateStack")) == 1


def test_nobody_elses_update_is_stopped_at_the_deadline_of_an_attempt_that_failed(
    prod: EnvironmentAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.start()
    prod.roll_back()
    prod.cloudformation.happen("UPDATE_IN_PROGRESS", token="cdk-deploy")
    prod.cloudformation.status, prod.ecs.running = "UPDATE_IN_PROGRESS", [f"{prod.ecs.arn}/deployment/2"]
    later = shared.now() + timedelta(minutes=61)
    monkeypatch.setattr(shared, "now", lambda: later)
    assert prod.look() == "IN_PROGRESS"
    assert prod._call({"action": "stop", "token": "income-1-prod"}) == {"status": "IN_PROGRESS"}
    assert prod.cloudformation.requests("CancelUpdateStack") == prod.ecs.requests("StopServiceDeployment") == []
