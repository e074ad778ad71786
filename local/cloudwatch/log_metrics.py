"""What CloudWatch makes of a line of a log that describes metrics (EMF)."""

from __future__ import annotations

import json
from typing import Any

# (namespace, name) of each metric that came so; local.cloudwatch.metrics judges the alarms on them.
published: set[tuple[str, str]] = set()


def publish(line: str) -> bool:
    """Within the account of the log. A line that describes none, or describes them wrongly, is only a line: False."""
    if not line.startswith("{") or '"_aws"' not in line:
        return False
    try:
        document = json.loads(line)
        described = document["_aws"]["CloudWatchMetrics"]
        for directive in described:
            for dimensions in directive["Dimensions"]:
                _record(document, directive, {name: document[name] for name in dimensions})
    except (ValueError, KeyError, TypeError):
        return False
    return True


def _record(document: dict[str, Any], directive: dict[str, Any], dimensions: dict[str, str]) -> None:
    from ministack.services import cloudwatch  # which reads its configuration from the environment

    for metric in directive["Metrics"]:
        value, unit = float(document[metric["Name"]]), metric.get("Unit", "None")
        published.add((directive["Namespace"], metric["Name"]))
        cloudwatch.record_metric(directive["Namespace"], metric["Name"], value, unit, dimensions)
