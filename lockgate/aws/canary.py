"""What CloudWatch counts of a canary and of the release beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lockgate.errors import NotFoundError
from lockgate.statistics.canary import Minute

NAMESPACE = "AWS/ApplicationELB"
REQUESTS, ERRORS = "RequestCount", "HTTPCode_Target_5XX_Count"
# The newest minutes may be incomplete in one metric and not in the other.
UNSETTLED = 2


def groups_of(ecs: Any, revisions: Sequence[str]) -> tuple[str, ...]:
    """The target group that each service revision fills, as metrics name it: targetgroup/<name>/<id>.

    Raises NotFoundError when ECS does not say.
    """
    answer = ecs.describe_service_revisions(serviceRevisionArns=list(revisions))
    found = {}
    for revision in answer.get("serviceRevisions", ()):
        for balancer in revision.get("resolvedConfiguration", {}).get("loadBalancers", ()):
            found[revision["serviceRevisionArn"]] = balancer["targetGroupArn"].rpartition(":")[2]
    missing = [revision for revision in revisions if revision not in found]
    if missing:
        raise NotFoundError(f"target groups of {', '.join(missing)}: ECS names none")
    return tuple(found[revision] for revision in revisions)


def minutes_since(
    cloudwatch: Any, balancer: str, groups: Sequence[str], since: datetime, now: datetime
) -> list[Minute]:
    """Requests and errors of the canary (first group) and the other, in each whole minute since, but the newest two.

    balancer: app/<name>/<id>. A minute that began before `since` is left out, since it shared the traffic otherwise.
    """
    wanted = [(metric, group) for group in groups for metric in (REQUESTS, ERRORS)]
    queries = [
        {
            "Id": f"q{place}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "TargetGroup", "Value": group},
                        {"Name": "LoadBalancer", "Value": balancer},
                    ],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for place, (metric, group) in enumerate(wanted)
    ]
    counts: dict[str, dict[datetime, int]] = {f"q{place}": {} for place in range(len(wanted))}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=since, EndTime=now
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            values = (round(value) for value in result["Values"])
            counts[result["Id"]].update(zip(result["Timestamps"], values, strict=True))
    moments = sorted({moment for each in counts.values() for moment in each})[:-UNSETTLED]
    series = [[counts[f"q{place}"].get(moment, 0) for place in range(4)] for moment in moments if moment >= since]
    # An answer may be counted a minute after its request.
    return [
        Minute(requests, min(errors, requests), beside, min(failed, beside))
        for requests, errors, beside, failed in series
    ]
