"""The metrics that load balancers publish, and the alarms on them and on what tasks write into their logs.

Each request that a target answers, and each minute the targets that are unhealthy, become the metrics of AWS, with the
dimensions TargetGroup and LoadBalancer. Once a minute of the emulated clock these alarms are judged. Other metrics stay
as the emulator has them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from local.clock import CLOCK, Thread
from local.cloudwatch import log_metrics
from local.elbv2 import targets
from local.iam.resources import judge_on
from local.seams import wrap
from local.settings import Settings

_log = logging.getLogger("alb-metrics")

NAMESPACE = "AWS/ApplicationELB"
_MINUTE = 60
_FURTHER = 2  # periods that CloudWatch looks back beyond those of the alarm
_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def install(settings: Settings) -> None:
    """Patch the emulator's CloudWatch, and begin to look at alarms. Every extension has this signature."""
    wrap("services.cloudwatch._evaluate_alarm", _of_others)
    wrap("services.cloudwatch._record_history", _told)
    judge_on("monitoring", _named_alarm)
    Thread(target=_every_minute, name="metrics and alarms", daemon=True).start()


def answered(group: str, status: int, seconds: float, *, by_target: bool) -> None:
    """A request for a target of a group had this end, after so long. Within the group's account.

    by_target: the target's own answer, and not the load balancer's that it could not be reached.
    """
    dimensions = _dimensions(group)
    if dimensions is None:
        return
    _publish("RequestCount", 1, dimensions)
    if not by_target:
        _publish("HTTPCode_ELB_5XX_Count", 1, {"LoadBalancer": dimensions["LoadBalancer"]})
        return
    _publish("TargetResponseTime", seconds, dimensions)
    if 200 <= status < 600:
        _publish(f"HTTPCode_Target_{status // 100}XX_Count", 1, dimensions)


def _publish(name: str, value: float, dimensions: dict[str, str]) -> None:
    from ministack.services import cloudwatch

    cloudwatch.record_metric(NAMESPACE, name, value, dimensions=dimensions)


def _dimensions(group: str) -> dict[str, str] | None:
    """Of a target group that a rule leads to; None for one without load balancer, which publishes nothing."""
    from ministack.services import alb

    for rule in list(alb._rules.values()):
        for action in rule["Actions"]:
            groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
            if any(each["TargetGroupArn"] == group for each in groups):
                balancer = alb._listeners[rule["ListenerArn"]]["LoadBalancerArn"]
                full_name = balancer.partition(":loadbalancer/")[2]
                return {"TargetGroup": group.rpartition(":")[2], "LoadBalancer": full_name}
    return None


def _told(record: Callable[..., None]) -> Callable[..., None]:
    """Deployments look at alarms whenever one has another state."""

    def recorded(*args: Any, **options: Any) -> None:
        record(*args, **options)
        targets.changes.happened()

    return recorded


def _every_minute() -> None:
    while True:  # after the health checks of that moment
        CLOCK.wait_until((CLOCK.now() // _MINUTE + 1) * _MINUTE, drives=False, turn=1)
        try:
            _count_unhealthy()
            _look_at_alarms()
        except Exception:
            _log.exception("metrics of load balancers")


def _count_unhealthy() -> None:
    from ministack.core.responses import request_scope

    for group in targets.groups():
        states = [target.state for target in targets.of(group)]
        with request_scope(group.split(":")[4], group.split(":")[3]):
            dimensions = _dimensions(group)
            if dimensions and states:
                _publish("UnHealthyHostCount", states.count("unhealthy"), dimensions)
                _publish("HealthyHostCount", states.count("healthy"), dimensions)


def _look_at_alarms() -> None:
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    for (account, region, _), alarm in list(cloudwatch._alarms.all_items()):
        if _ours(alarm):
            with request_scope(account, region):
                _evaluate(alarm)


def _ours(alarm: Mapping[str, Any]) -> bool:
    return alarm.get("Namespace") == NAMESPACE or (alarm.get("Namespace"), alarm.get("MetricName")) in (
        log_metrics.published
    )


def _evaluate(alarm: dict[str, Any]) -> None:
    """Change the state as AWS would: M of the last N whole periods, each with its statistic, missing ones as asked."""
    from ministack.services import cloudwatch

    values = _values(alarm, CLOCK.now())
    state = judged(values, alarm)
    if state is None or state == alarm["StateValue"]:
        return
    before, reason = alarm["StateValue"], said(values, alarm, state)
    alarm["StateValue"], alarm["StateReason"] = state, reason
    alarm["StateUpdatedTimestamp"] = int(CLOCK.now())
    cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def said(values: Sequence[float | None], alarm: Mapping[str, Any], state: str) -> str:
    """Why, nearly in AWS's words."""
    there = [value for value in values if value is not None]
    if not there:
        return f"Threshold Crossed: no datapoints were received for {len(values)} periods"
    found = ", ".join(str(value) for value in there)
    comparison = alarm["ComparisonOperator"] if state == "ALARM" else f"not {alarm['ComparisonOperator']}"
    return f"Threshold Crossed: {len(there)} datapoints [{found}] were {comparison} ({alarm['Threshold']})"


def judged(values: Sequence[float | None], alarm: Mapping[str, Any]) -> str | None:
    """State of an alarm from the values of its last periods (None: no data); None where it stays as it is."""
    treat = alarm.get("TreatMissingData") or "missing"
    if all(value is None for value in values) and treat in ("missing", "ignore"):
        return "INSUFFICIENT_DATA" if treat == "missing" else None
    breaches = _BREACHES[alarm["ComparisonOperator"]]
    breaching = sum(
        treat == "breaching" if value is None else breaches(value, float(alarm["Threshold"])) for value in values
    )
    needed = int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])
    return "ALARM" if breaching >= needed else "OK"


def _values(alarm: Mapping[str, Any], now: float) -> list[float | None]:
    """The statistic of each whole period that the alarm judges, newest first."""
    from ministack.services import cloudwatch

    period = float(alarm["Period"])
    wanted = {entry["Name"]: entry["Value"] for entry in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(wanted))
    points = list(cloudwatch._metrics.get(key, []))
    statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    newest, periods = now // period * period, int(alarm["EvaluationPeriods"])
    values: list[float | None] = []
    for number in range(periods + _FURTHER):
        begin = newest - (number + 1) * period
        within = [point for point in points if begin <= point["Timestamp"] < begin + period]
        values.append(cloudwatch._stat_value(cloudwatch._calc_stats(within), statistic, within) if within else None)
    return there_first(values, periods)


def there_first(values: Sequence[float | None], periods: int) -> list[float | None]:
    """As CloudWatch: it looks further back than asked, and a value counts as missing only where too few are there."""
    there = [value for value in values if value is not None][:periods]
    return [*there, *[None] * (periods - len(there))]


def _of_others(original: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Leave our alarms to us: the emulator's own look knows neither dimensions nor missing data."""

    def evaluate(alarm: dict[str, Any]) -> None:
        if not _ours(alarm):
            original(alarm)

    return evaluate


def _named_alarm(headers: Mapping[str, str], body: bytes, region: str, account: str) -> str:
    """IAM judges a request on the (first) alarm that it names."""
    text = (body or b"").decode("utf-8", errors="replace")
    sent = json.loads(text) if text.startswith("{") else {}
    form = parse_qs(text)
    named = sent.get("AlarmNames") or form.get("AlarmNames.member.1") or form.get("AlarmName") or []
    name = sent.get("AlarmName") or next(iter(named), "")
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}" if name else ""
