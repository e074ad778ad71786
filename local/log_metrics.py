"""What CloudWatch makes of a line of a log that describes metrics (EMF): the metrics, and alarms on exactly these."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import cloudwatch

from local import alb_metrics


def publish(line: str) -> None:
    """Within the account of the log. A line that describes none, or describes them wrongly, is only a line."""
    if not line.startswith("{") or '"_aws"' not in line:
        return
    try:
        document = json.loads(line)
        described = document["_aws"]["CloudWatchMetrics"]
        for directive in described:
            for dimensions in directive["Dimensions"]:
                _record(document, directive, {name: document[name] for name in dimensions})
    except (ValueError, KeyError, TypeError):
        return


def _record(document: dict[str, Any], directive: dict[str, Any], dimensions: dict[str, str]) -> None:
    for metric in directive["Metrics"]:
        value, unit = float(document[metric["Name"]]), metric.get("Unit", "None")
        cloudwatch.record_metric(directive["Namespace"], metric["Name"], value, unit, dimensions)
        for alarm in list(cloudwatch._alarms.values()):
            watched = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
            of = (alarm.get("Namespace"), alarm.get("MetricName"), watched)
            if of == (directive["Namespace"], metric["Name"], dimensions):
                alb_metrics.change(alarm, alb_metrics.judged([value] * int(alarm["EvaluationPeriods"]), alarm))
