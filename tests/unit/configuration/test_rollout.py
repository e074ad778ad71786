"""How an environment deploys: every mistake is found at synth."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.configuration.rollout import read_rollout
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError

CANARY = {
    "strategy": "canary",
    "percent": 10,
    "step_minutes": 10,
    "bake_minutes": 5,
    "deadline_minutes": 60,
    "replay_difference": 1e-9,
    "false_alarm_rate": 0.001,
    "errors_per_minute": 5,
    "latency_p99_ms": 500,
    "unhealthy_minutes": 2,
}
STEPS = ("percent", "step_minutes")


def read(**changes: Any) -> Any:
    data = {key: value for key, value in {**CANARY, **changes}.items() if value is not None}
    return read_rollout(Table("environments/prod.toml", "deployment", data))


def test_a_canary_takes_its_step_and_its_bake_time() -> None:
    assert read().minutes == 15


@pytest.mark.parametrize(("percent", "minutes"), [(50, 15), (25, 35), (34, 25), (3, 335)])
def test_a_linear_deployment_takes_a_step_less_than_it_has_parts(percent: int, minutes: int) -> None:
    rollout = read(strategy="linear", percent=percent, deadline_minutes=600)
    assert (rollout.minutes, rollout.steps) == (minutes, (minutes - 5) // 10)


def test_a_deployment_at_once_has_no_steps() -> None:
    at_once = read(strategy="blue-green", percent=None, step_minutes=None, bake_minutes=0)
    assert (at_once.minutes, at_once.step_minutes) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "rolling"}, "deployment.strategy: found 'rolling', expected one of blue-green, canary, linear"),
        ({"strategy": "blue-green"}, "deployment.percent: found 10, expected no such key"),
        ({"percent": 51}, "deployment.percent: found 51"),
        ({"strategy": "linear", "percent": 2}, "deployment.percent: found 2"),
        ({"step_minutes": 0}, "deployment.step_minutes: found 0"),
        ({"deadline_minutes": 29}, "deployment.deadline_minutes: found 29, expected at least 30"),
        ({"strategy": "linear", "percent": 3, "step_minutes": 100, "deadline_minutes": 2160}, "at most 1980 minutes"),
        ({"replay_difference": -1e-9}, "deployment.replay_difference"),
        ({"replay_difference": 0.02}, "deployment.replay_difference"),
        ({"false_alarm_rate": 0}, "deployment.false_alarm_rate"),
        ({"false_alarm_rate": 0.2}, "deployment.false_alarm_rate"),
        ({"errors_per_minute": 0}, "deployment.errors_per_minute"),
        ({"latency_p99_ms": None}, "deployment.latency_p99_ms: found nothing"),
    ],
    ids=str,
)
def test_a_mistake_names_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**changes)
    assert message in str(caught.value)
