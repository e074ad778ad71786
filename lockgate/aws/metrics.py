"""Numbers of our own in CloudWatch, which alarms watch."""

from __future__ import annotations

from typing import Any

from lockgate import names


def put_count(cloudwatch: Any, metric: str, count: int) -> None:
    """Put one count of a metric (names.STUCK, …); the namespace is ours, since that is what the roles allow."""
    data = [{"MetricName": metric, "Value": count, "Unit": "Count"}]
    cloudwatch.put_metric_data(Namespace=names.METRIC_NAMESPACE, MetricData=data)
