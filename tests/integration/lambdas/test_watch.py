"""The watch hook: holds each step of a canary, looks each minute, and stops one that fails more often."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import shared, watch
from lockgate import names
from lockgate.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

NEW, OLD = (f"arn:aws:ecs:us-east-1:123456789012:service-revision/prod/income/{name}" for name in ("new", "old"))
DEPLOYMENT = "arn:aws:ecs:us-east-1:123456789012:service-deployment/prod/income/abc"
NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
STARTED_WITH = {
    "model": "income",
    "verdict_id": "income/1",
    "step_minutes": 10,
    "steps": 1,
    "false_alarm_rate": 0.001,
}


class Aws:
    """What ECS and CloudWatch say; `counts` are (canary, its errors, others, their errors) of each minute from NOW."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int, int, int]] = []
        self.known = True


@pytest.fixture
def aws(
    world: World, scripted: type, sdk: Any, use: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Aws]:
    made = Aws()

    class Ecs(scripted):  # type: ignore[misc]
        service = "ecs"

        def DescribeServiceRevisions(self, serviceRevisionArns: list[str]) -> dict[str, Any]:  # noqa: N802, N803
            groups = {NEW: "targetgroup/green/1", OLD: "targetgroup/blue/2"}
            prefix = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
            found = [
                {
                    "serviceRevisionArn": arn,
                    "resolvedConfiguration": {"loadBalancers": [{"targetGroupArn": prefix + groups[arn]}]},
                }
                for arn in serviceRevisionArns
            ]
            return {"serviceRevisions": found if made.known else []}

    class CloudWatch(scripted):  # type: ignore[misc]
        service = "cloudwatch"

        def GetMetricData(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            series = {
                ("targetgroup/green/1", "RequestCount"): 0,
                ("targetgroup/green/1", "HTTPCode_Target_5XX_Count"): 1,
                ("targetgroup/blue/2", "RequestCount"): 2,
                ("targetgroup/blue/2", "HTTPCode_Target_5XX_Count"): 3,
            }
            results = []
            for query in request["MetricDataQueries"]:
                stat = query["MetricStat"]
                dimensions = {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]}
                assert (stat["Period"], stat["Stat"], dimensions["LoadBalancer"]) == (60, "Sum", "app/lb/1")
                column = series[dimensions["TargetGroup"], stat["Metric"]["MetricName"]]
                minutes = [NOW.replace(second=0) + timedelta(minutes=i) for i in range(len(made.counts))]
                values = [(at, count[column]) for at, count in zip(minutes, made.counts, strict=True) if count[column]]
                times = [at for at, _ in values]
                results.append({"Id": query["Id"], "Timestamps": times, "Values": [float(v) for _, v in values]})
            return {"MetricDataResults": results}

    ecs, cloudwatch = Ecs(sdk), CloudWatch(sdk)
    use("ecs", ecs.client)
    use("cloudwatch", cloudwatch.client)
    monkeypatch.setenv("LOAD_BALANCER", "app/lb/1")
    monkeypatch.setenv("ENVIRONMENT", "prod")
    monkeypatch.setattr(names, "releases_bucket", lambda environment, *_: {"prod": "test-releases"}[environment])
    monkeypatch.setattr(shared, "now", lambda: NOW)
    yield made
    ecs.close()
    cloudwatch.close()


def call(percent: int, **details: Any) -> dict[str, Any]:
    execution = {"targetServiceRevisionArn": NEW, "productionTrafficWeights": {NEW: percent, OLD: 100 - percent}}
    given = {**STARTED_WITH, **details}
    return watch.handler({"resourceArn": DEPLOYMENT, "executionDetails": execution, "hookDetails": given}, None)


def test_before_the_first_step_there_is_nothing_to_compare(aws: Aws) -> None:
    assert call(0) == {"hookStatus": "SUCCEEDED"}


def test_a_step_is_held_for_its_minutes_with_a_look_each(aws: Aws) -> None:
    aws.counts = [(60, 0, 540, 0)] * 12
    answer, looks = call(10), 0
    while answer["hookStatus"] == "IN_PROGRESS":
        looks += 1
        assert (answer["callBackDelay"], answer["hookDetails"]["looks"]) == (60, looks)
        answer = call(10, **answer["hookDetails"])
    assert (answer, looks) == ({"hookStatus": "SUCCEEDED"}, 10)


def test_a_canary_that_runs_keeps_the_steps_it_was_started_with_when_longer_ones_are_configured(aws: Aws) -> None:
    """ECS gives its hook the time of the old steps: who held the new ones would be taken back."""
    file = shared.ROOT / "environments" / "prod.toml"
    longer = file.read_text().replace("step_minutes = 10", "step_minutes = 60")
    file.write_text(longer.replace("deadline_minutes = 60", "deadline_minutes = 120"))
    assert shared.environment("prod").rollout.step_minutes == 60
    assert call(10, looks=9, since=shared.timestamp(NOW))["hookStatus"] == "IN_PROGRESS"
    assert call(10, looks=10, since=shared.timestamp(NOW)) == {"hookStatus": "SUCCEEDED"}


@pytest.mark.parametrize("change", [{"step_minutes": None}, {"steps": "1"}, {"verdict_id": 1}], ids=str)
def test_details_that_say_too_little_are_refused(aws: Aws, change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=r"^hookDetails: found .*, expected model, verdict_id, step_minutes, steps,"):
        call(10, **change)


def test_without_any_traffic_a_step_ends_well(aws: Aws) -> None:
    assert call(10, looks=10, since=shared.timestamp(NOW)) == {"hookStatus": "SUCCEEDED"}


def test_a_canary_that_fails_more_often_stops_at_once_with_the_numbers(aws: Aws, world: World) -> None:
    aws.counts = [(60, 6, 540, 1)] * 6
    assert call(10) == {"hookStatus": "FAILED"}
    found = json.loads(
        world.s3.get_object(Bucket="test-releases", Key="income/findings/abc-failed.json")["Body"].read()
    )
    # The minute in which the step began, and the two newest, do not count.
    assert found["message"].startswith("canary: 18 of 180 requests failed in the canary, 3 of 1620 beside it: evidence")
    assert "expected below 1000 (false alarm rate 0.001, steps 1)" in found["message"]


def test_the_rate_of_false_alarms_is_shared_among_the_steps_of_a_linear_deployment(aws: Aws) -> None:
    """Each step begins without evidence: what is enough for a canary's only step is not for the first of two."""
    aws.counts = [(0, 0, 0, 0), (380, 9, 620, 0), (1, 0, 1, 0), (1, 0, 1, 0)]  # evidence 1,468
    assert call(40, steps=2)["hookStatus"] == "IN_PROGRESS"
    assert call(40) == {"hookStatus": "FAILED"}


def test_a_bad_upstream_that_hits_both_stops_nothing(aws: Aws) -> None:
    aws.counts = [(60, 30, 540, 270)] * 12
    assert call(10, looks=10, since=shared.timestamp(NOW)) == {"hookStatus": "SUCCEEDED"}


def test_what_cannot_be_measured_is_an_error_and_no_pass(aws: Aws) -> None:
    aws.known = False
    with pytest.raises(NotFoundError, match="ECS names none"):
        call(10)
    with pytest.raises(KeyError):
        watch.handler(
            {
                "resourceArn": DEPLOYMENT,
                "executionDetails": {"targetServiceRevisionArn": NEW, "productionTrafficWeights": {}},
                "hookDetails": STARTED_WITH,
            },
            None,
        )
