"""Drift of what a promotion touches and of what guards it; the emulator's detection reads none of these types.

As on AWS only what the template sets is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local.seams import rebind
from local.settings import Settings

Properties = dict[str, Any]


def install(settings: Settings) -> None:
    """Register the readers. `settings` is not needed; every extension has this signature."""
    for kind, (find, read) in _READERS.items():
        rebind(f"services.cloudformation.drift._DRIFT_READERS[{kind}]", (_reader(find), frozenset(read)))


def _reader(find: Callable[[str], Mapping[str, Any] | None]) -> Callable[[str, Properties], Any]:
    def read(physical_id: str, template: Properties) -> Any:
        found = find(physical_id)
        return None if found is None else in_shape_of(template, found)

    return read


def in_shape_of(template: Any, found: Any) -> Any:
    """What a service keeps, with the names and types of the template, and nothing that the template does not set."""
    if isinstance(template, dict) and isinstance(found, Mapping):
        kept = {
            name.lower(): value for name, value in found.items()
        }  # ContainerName in one, containerName in the other
        return {
            name: in_shape_of(value, kept[name.lower()]) for name, value in template.items() if name.lower() in kept
        }
    if isinstance(template, list) and isinstance(found, list) and template:
        return [in_shape_of(template[min(i, len(template) - 1)], each) for i, each in enumerate(found)]
    whole = isinstance(found, float) and found.is_integer() and not isinstance(template, float)
    return int(found) if whole else found


def _alarm(name: str) -> Mapping[str, Any] | None:
    from ministack.services import cloudwatch

    found: Mapping[str, Any] | None = cloudwatch._alarms.get(name)
    return found


def _service(arn: str) -> Mapping[str, Any] | None:
    from ministack.services import ecs

    found: Mapping[str, Any] | None = ecs._services.get(arn.partition(":service/")[2])
    return found if found and found["status"] == "ACTIVE" else None


def _task_definition(arn: str) -> Mapping[str, Any] | None:
    from ministack.services import ecs

    found: Mapping[str, Any] | None = ecs._task_defs.get(arn.rpartition("/")[2])
    return found if found and found["status"] == "ACTIVE" else None


def _rule(arn: str) -> Mapping[str, Any] | None:
    from ministack.services import alb

    found: Mapping[str, Any] | None = alb._rules.get(arn)
    return found


_READERS: dict[str, tuple[Callable[[str], Mapping[str, Any] | None], tuple[str, ...]]] = {
    "AWS::CloudWatch::Alarm": (
        _alarm,
        (
            "ActionsEnabled",
            "AlarmActions",
            "ComparisonOperator",
            "EvaluationPeriods",
            "MetricName",
            "Period",
            "Threshold",
        ),
    ),
    "AWS::ECS::Service": (
        _service,
        ("DeploymentConfiguration", "LoadBalancers", "NetworkConfiguration", "TaskDefinition"),
    ),
    "AWS::ECS::TaskDefinition": (
        _task_definition,
        ("ContainerDefinitions", "Cpu", "ExecutionRoleArn", "Memory", "TaskRoleArn"),
    ),
    "AWS::ElasticLoadBalancingV2::ListenerRule": (_rule, ("Actions", "Priority")),
}
