"""Canaries, hooks and load balancers' metrics on the embedded AWS: what a deployment waits for, what ends it."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.cloudwatch.metrics import judged, said, there_first

PULL = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "logs:*"]

# Answers as the environment variable of its configuration says, and hands back what it was given.
HOOK = """
import json, os, time
def handler(event, context):
    print(json.dumps(event))
    answers = json.loads(os.environ["ANSWERS"])
    looks = (event.get("hookDetails") or {}).get("looks", 0)
    answer = answers[min(looks, len(answers) - 1)]
    if answer == "error":
        raise ValueError("it broke")
    if answer == "slow":
        time.sleep(1.5)
        return {"hookStatus": "SUCCEEDED"}
    if answer == "IN_PROGRESS":
        return {"hookStatus": answer, "callBackDelay": 30, "hookDetails": {"looks": looks + 1}}
    return {"hookStatus": answer}
"""


def allow(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


@dataclass
class DeployedService:
    """One service behind a load balancer, deployed through the API, and what clients were answered meanwhile."""

    embedded: Any
    host: str = ""
    groups: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.embedded.client(service)

    def configuration(self, **changes: Any) -> dict[str, Any]:
        base = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "minimumHealthyPercent": 100, "maximumPercent": 200}
        return {**base, **changes}

    def hook(self, stage: str, **changes: Any) -> dict[str, Any]:
        arn = f"arn:aws:lambda:us-east-1:111111111111:function:{changes.pop('function', 'hook')}"
        return {"hookTargetArn": arn, "roleArn": self.roles["hooks"], "lifecycleStages": [stage], **changes}

    def function(self, *answers: str) -> None:
        """Make the function `hook` answer this, and nothing else, from now on."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("hook.py", HOOK)
        lambda_ = self.client("lambda")
        if any(found["FunctionName"] == "hook" for found in lambda_.list_functions()["Functions"]):
            lambda_.delete_function(FunctionName="hook")
        lambda_.create_function(
            FunctionName="hook",
            Runtime="python3.13",
            Role=self.roles["function"],
            Handler="hook.handler",
            Code={"ZipFile": packed.getvalue()},
            Environment={"Variables": {"ANSWERS": json.dumps(answers)}},
        )

    def deploy(self, image: str, **configuration: Any) -> dict[str, Any]:
        """Bring an image to traffic and wait for the end; the service deployment."""
        ecs = self.client("ecs")
        definition = ecs.register_task_definition(
            family="rollout",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            executionRoleArn=self.roles["execution"],
            containerDefinitions=[
                {"name": "server", "image": image, "essential": True, "portMappings": [{"containerPort": 8080}]}
            ],
        )["taskDefinition"]["taskDefinitionArn"]
        wanted = {"taskDefinition": definition, "deploymentConfiguration": self.configuration(**configuration)}
        if not ecs.describe_services(cluster="rollouts", services=["rollout"])["services"]:
            ecs.create_service(
                cluster="rollouts",
                serviceName="rollout",
                desiredCount=1,
                launchType="FARGATE",
                loadBalancers=[
                    {
                        "containerName": "server",
                        "containerPort": 8080,
                        "targetGroupArn": self.groups["blue"],
                        "advancedConfiguration": {
                            "alternateTargetGroupArn": self.groups["green"],
                            "productionListenerRule": self.rules["production"],
                            "testListenerRule": self.rules["test"],
                            "roleArn": self.roles["ecs"],
                        },
                    }
                ],
                **wanted,
            )
        else:
            ecs.update_service(cluster="rollouts", service="rollout", **wanted)
        deadline = time.monotonic() + 60
        while True:
            found = ecs.list_service_deployments(cluster="rollouts", service="rollout")["serviceDeployments"][0]
            if "finishedAt" in found:
                return dict(found)
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def get(self, path: str = "/") -> tuple[int, str]:
        answer: tuple[int, str] = self.embedded.get(self.host, path)
        return answer

    def counted(self, metric: str, group: str, statistic: str = "Sum") -> list[float]:
        """One value a minute."""
        found = self.client("cloudwatch").get_metric_data(
            MetricDataQueries=[
                {
                    "Id": "m",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/ApplicationELB",
                            "MetricName": metric,
                            "Dimensions": self.dimensions(group),
                        },
                        "Period": 60,
                        "Stat": statistic,
                    },
                }
            ],
            StartTime=datetime.now(UTC) - timedelta(hours=1),
            EndTime=datetime.now(UTC) + timedelta(days=10),
        )
        return list(found["MetricDataResults"][0]["Values"])

    def dimensions(self, group: str) -> list[dict[str, str]]:
        balancer = self.client("elbv2").describe_load_balancers()["LoadBalancers"]
        (arn,) = [found["LoadBalancerArn"] for found in balancer if found["LoadBalancerName"] == "rollouts"]
        return [
            {"Name": "TargetGroup", "Value": self.groups[group].rpartition(":")[2]},
            {"Name": "LoadBalancer", "Value": arn.partition(":loadbalancer/")[2]},
        ]


@pytest.fixture(scope="module")
def place(embedded: Any, make_image: Callable[[str], str]) -> Iterator[DeployedService]:
    made = DeployedService(embedded)
    iam, elbv2, ecs = made.client("iam"), made.client("elbv2"), made.client("ecs")
    for name, service, actions in (
        ("execution", "ecs-tasks.amazonaws.com", PULL),
        ("ecs", "ecs.amazonaws.com", ["elasticloadbalancing:*"]),
        ("hooks", "ecs.amazonaws.com", ["lambda:InvokeFunction"]),
        ("powerless", "ecs.amazonaws.com", ["s3:ListAllMyBuckets"]),
        ("function", "lambda.amazonaws.com", ["logs:*"]),
    ):
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        role = iam.create_role(RoleName=f"rollout-{name}", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))[
            "Role"
        ]
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="own", PolicyDocument=json.dumps(allow(*actions)))
        made.roles[name] = role["Arn"]
    balancer = elbv2.create_load_balancer(Name="rollouts", Subnets=["subnet-1"])["LoadBalancers"][0]
    made.host = balancer["DNSName"]
    for name in ("blue", "green"):
        group = elbv2.create_target_group(
            Name=f"rollout-{name}",
            TargetType="ip",
            Protocol="HTTP",
            Port=8080,
            VpcId="vpc-1",
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=6,
        )
        made.groups[name] = group["TargetGroups"][0]["TargetGroupArn"]
    for name, port in (("production", 80), ("test", 9000)):
        listener = elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=port,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
        )["Listeners"][0]["ListenerArn"]
        forward = {
            "TargetGroups": [
                {"TargetGroupArn": made.groups["blue"], "Weight": 100},
                {"TargetGroupArn": made.groups["green"], "Weight": 0},
            ]
        }
        rule = elbv2.create_rule(
            ListenerArn=listener,
            Priority=1,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=[{"Type": "forward", "ForwardConfig": forward}],
        )
        made.rules[name] = rule["Rules"][0]["RuleArn"]
    ecs.create_cluster(clusterName="rollouts")
    made.deploy(make_image("good-1"))
    yield made
    ecs.delete_service(cluster="rollouts", service="rollout", force=True)


class ServiceTraffic:
    """Requests all the time, two every ten seconds, and how they were answered: by whom, with which status."""

    def __init__(self, place: DeployedService) -> None:
        self._place, self._over = place, threading.Event()
        self.answers: list[tuple[int, str]] = []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with self._place.embedded.held_clock():
            while not self._over.is_set():
                self.answers += [self._place.get(), self._place.get()]
                self._place.embedded.move_clock(advance=10)

    def __enter__(self) -> ServiceTraffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_requests_become_metrics_of_their_target_group(place: DeployedService) -> None:
    before = sum(place.counted("RequestCount", "blue"))
    for _ in range(5):
        assert place.get() == (200, "good-1")
    assert sum(place.counted("RequestCount", "blue")) == before + 5
    assert all(0 < seconds < 30 for seconds in place.counted("TargetResponseTime", "blue", "p99"))
    assert place.counted("RequestCount", "green") == []


def test_hooks_are_called_at_their_stages_with_what_aws_tells_them(
    place: DeployedService, make_image: Callable[[str], str]
) -> None:
    place.function("IN_PROGRESS", "SUCCEEDED")
    stages = ("POST_TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT")
    hooks = [place.hook(stage, hookDetails={"said": stage}) for stage in stages]
    canary = {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 0}
    done = place.deploy(make_image("good-2"), strategy="CANARY", canaryConfiguration=canary, lifecycleHooks=hooks)
    assert done["status"] == "SUCCESSFUL"
    assert place.get() == (200, "good-2")


def test_a_hook_whose_work_takes_long_on_a_busy_machine_is_no_reason_to_go_back(
    place: DeployedService, make_image: Callable[[str], str]
) -> None:
    place.function("slow")
    hook = place.hook("POST_TEST_TRAFFIC_SHIFT", timeoutConfiguration={"timeoutInMinutes": 1, "action": "ROLLBACK"})
    done = place.deploy(make_image("good-3"), lifecycleHooks=[hook])
    assert done["status"] == "SUCCESSFUL", done
    assert place.get() == (200, "good-3")


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (("FAILED",), "lifecycle hook hook at POST_TEST_TRAFFIC_SHIFT failed"),
        (("error",), "ended with an error"),
        (("whatever",), "without a valid hookStatus"),
        (("IN_PROGRESS",), "timed out after 2 minutes"),
    ],
    ids=str,
)
def test_a_hook_that_says_no_or_nothing_leaves_the_old_release_serving(
    place: DeployedService, make_image: Callable[[str], str], answers: tuple[str, ...], reason: str
) -> None:
    place.function(*answers)
    before = place.get()
    minutes = 2 if answers == ("IN_PROGRESS",) else 30
    hook = place.hook(
        "POST_TEST_TRAFFIC_SHIFT", timeoutConfiguration={"timeoutInMinutes": minutes, "action": "ROLLBACK"}
    )
    with ServiceTraffic(place) as traffic:
        done = place.deploy(make_image(f"hooked-{answers[0].lower().replace('_', '-')}"), lifecycleHooks=[hook])
    assert (done["status"], reason in done["statusReason"]) == ("ROLLBACK_SUCCESSFUL", True), done
    assert set(traffic.answers) == {before}, "nobody saw the new release"


def test_a_role_that_may_not_invoke_the_hook_stops_the_deployment(
    place: DeployedService, make_image: Callable[[str], str]
) -> None:
    place.function("SUCCEEDED")
    hook = {**place.hook("PRE_SCALE_UP"), "roleArn": place.roles["powerless"]}
    done = place.deploy(make_image("not-invoked"), lifecycleHooks=[hook])
    assert "may not invoke" in done["statusReason"]


def test_a_canary_whose_errors_raise_an_alarm_is_taken_back_while_the_old_release_serves(
    place: DeployedService, make_image: Callable[[str], str]
) -> None:
    cloudwatch = place.client("cloudwatch")
    names = []
    for group in ("blue", "green"):
        names.append(f"errors-{group}")
        cloudwatch.put_metric_alarm(
            AlarmName=names[-1],
            Namespace="AWS/ApplicationELB",
            MetricName="HTTPCode_Target_5XX_Count",
            Dimensions=place.dimensions(group),
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=2,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
        )
    before = place.get()
    with ServiceTraffic(place) as traffic:
        done = place.deploy(
            make_image("failing"),
            strategy="CANARY",
            canaryConfiguration={"canaryPercent": 25.0, "canaryBakeTimeInMinutes": 60 * 20},
            alarms={"alarmNames": names, "enable": True, "rollback": True},
        )
        since = len(traffic.answers)
        while len(traffic.answers) < since + 20:
            time.sleep(0.01)
    assert done["status"] == "ROLLBACK_SUCCESSFUL"
    assert "alarms in ALARM state: errors-" in done["statusReason"]
    statuses = [status for status, _ in traffic.answers]
    assert 500 in statuses
    assert statuses.count(500) < statuses.count(200), "most went to the old release all the time"
    assert set(traffic.answers[since + 4 :]) == {before}


ALARM = {"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 5.0, "EvaluationPeriods": 2}


@pytest.mark.parametrize(
    ("values", "changes", "state"),
    [
        ([5.0, 6.0], {}, "ALARM"),
        ([5.0, 4.0], {}, "OK"),
        ([5.0, 4.0], {"DatapointsToAlarm": 1}, "ALARM"),
        ([None, 6.0], {"TreatMissingData": "notBreaching"}, "OK"),
        ([None, 6.0], {"TreatMissingData": "breaching"}, "ALARM"),
        ([None, None], {"TreatMissingData": "notBreaching"}, "OK"),
        ([None, None], {"TreatMissingData": "breaching"}, "ALARM"),
        ([None, None], {"TreatMissingData": "missing"}, "INSUFFICIENT_DATA"),
        ([None, None], {"TreatMissingData": "ignore"}, None),
    ],
    ids=str,
)
def test_an_alarm_judges_its_last_periods(
    values: list[float | None], changes: dict[str, Any], state: str | None
) -> None:
    assert judged(values, {**ALARM, **changes}) == state


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([5.0, 6.0, 7.0, 8.0], [5.0, 6.0]),
        ([None, 6.0, None, 8.0], [6.0, 8.0]),
        ([None, None, 7.0, None], [7.0, None]),
        ([None, None, None, None], [None, None]),
    ],
    ids=str,
)
def test_a_missing_period_is_made_up_for_by_one_a_little_further_back(
    values: list[float | None], found: list[float | None]
) -> None:
    assert there_first(values, 2) == found


def test_an_alarm_says_the_numbers() -> None:
    alarm = {**ALARM, "MetricName": "TargetResponseTime"}
    assert said([6.1, 5.0], alarm, "ALARM") == (
        "Threshold Crossed: 2 datapoints [6.1, 5.0] were GreaterThanOrEqualToThreshold (5.0)"
    )
    assert "no datapoints" in said([None, None], alarm, "OK")
