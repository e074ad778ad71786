"""ECS services of the embedded AWS really run, and deployments shift real traffic."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError

from lockgate.errors import RefusedError
from runtime.serving.task import ENDPOINT, task_definition

PULL = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "logs:*"]


def role(name: str, service: str, actions: list[str]) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policy = {"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": name,
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": "own", "PolicyDocument": policy}],
        },
    }


def target_group() -> dict[str, Any]:
    return {
        "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
        "Properties": {
            "TargetType": "ip",
            "Port": 8080,
            "Protocol": "HTTP",
            "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 6,
            "UnhealthyThresholdCount": 2,
            "Matcher": {"HttpCode": "200"},
        },
    }


def rule(listener: str, priority: int) -> dict[str, Any]:
    groups = [{"TargetGroupArn": {"Ref": "Blue"}, "Weight": 100}, {"TargetGroupArn": {"Ref": "Green"}, "Weight": 0}]
    return {
        "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
        "Properties": {
            "ListenerArn": {"Ref": listener},
            "Priority": priority,
            "Conditions": [{"Field": "path-pattern", "Values": ["/*"]}],
            "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
        },
    }


def listener(port: int) -> dict[str, Any]:
    return {
        "Type": "AWS::ElasticLoadBalancingV2::Listener",
        "Properties": {
            "LoadBalancerArn": {"Ref": "Balancer"},
            "Port": port,
            "Protocol": "HTTP",
            "DefaultActions": [
                {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "MessageBody": "no release"}}
            ],
        },
    }


EDGE = {
    "Resources": {
        "Balancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"Name": "edge"}},
        "Blue": target_group(),
        "Green": target_group(),
        "Listener": listener(80),
        "TestListener": listener(9000),
        "Production": rule("Listener", 1),
        "Test": rule("TestListener", 1),
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "serving"}},
        "TaskRole": role("task", "ecs-tasks.amazonaws.com", ["s3:ListAllMyBuckets"]),
        "ExecutionRole": role("execution", "ecs-tasks.amazonaws.com", PULL),
        "DeployRole": role("deploy", "ecs.amazonaws.com", ["elasticloadbalancing:*"]),
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/serving"}},
    },
    "Outputs": {
        name: {"Value": {"Ref": name}} for name in ("Blue", "Green", "Production", "Test", "Listener", "Balancer")
    }
    | {"Host": {"Value": {"Fn::GetAtt": ["Balancer", "DNSName"]}}}
    | {name: {"Value": {"Fn::GetAtt": [name, "Arn"]}} for name in ("TaskRole", "ExecutionRole", "DeployRole")},
}


def release(edge: dict[str, str], name: str, bake: str) -> dict[str, Any]:
    container = {
        "Name": "server",
        "Image": {"Ref": "Image"},
        "Essential": True,
        "PortMappings": [{"ContainerPort": 8080}],
        "Environment": [
            {"Name": "BIND_HOST", "Value": "0.0.0.0"},  # noqa: S104
            {"Name": "BIND_PORT", "Value": "8080"},
            {"Name": "GREETING", "Value": "hello"},
        ],
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": "/serving",
                "awslogs-stream-prefix": "release",
                "awslogs-region": "us-east-1",
            },
        },
    }
    return {
        "Parameters": {"Image": {"Type": "String"}},
        "Resources": {
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {
                    "Family": name,
                    "RequiresCompatibilities": ["FARGATE"],
                    "NetworkMode": "awsvpc",
                    "Cpu": "256",
                    "Memory": "512",
                    "TaskRoleArn": edge["TaskRole"],
                    "ExecutionRoleArn": edge["ExecutionRole"],
                    "ContainerDefinitions": [container],
                },
            },
            "Service": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "ServiceName": name,
                    "Cluster": "serving",
                    "TaskDefinition": {"Ref": "Task"},
                    "DesiredCount": "1",
                    "LaunchType": "FARGATE",
                    "DeploymentConfiguration": {
                        "Strategy": "BLUE_GREEN",
                        "BakeTimeInMinutes": bake,
                        "Alarms": {"AlarmNames": ["errors"], "Enable": True, "Rollback": True},
                    },
                    "LoadBalancers": [
                        {
                            "ContainerName": "server",
                            "ContainerPort": "8080",
                            "TargetGroupArn": edge["Blue"],
                            "AdvancedConfiguration": {
                                "AlternateTargetGroupArn": edge["Green"],
                                "ProductionListenerRule": edge["Production"],
                                "TestListenerRule": edge["Test"],
                                "RoleArn": edge["DeployRole"],
                            },
                        }
                    ],
                },
            },
        },
    }


@dataclass(frozen=True)
class Serving:
    """A deployed edge, and the means to release images behind it."""

    embedded: Any
    edge: dict[str, str]

    def release(self, image: str, bake: str = "0") -> None:
        """Create or update the release stack. Raises WaiterError when the stack rolled back."""
        cloudformation = self.embedded.client("cloudformation")
        request = {
            "StackName": "release",
            "TemplateBody": json.dumps(release(self.edge, "model", bake)),
            "Parameters": [{"ParameterKey": "Image", "ParameterValue": image}],
        }
        try:
            cloudformation.create_stack(**request)
            waiter = "stack_create_complete"
        except cloudformation.exceptions.AlreadyExistsException:
            cloudformation.update_stack(**request)
            waiter = "stack_update_complete"
        cloudformation.get_waiter(waiter).wait(StackName="release", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})

    def get(self, path: str = "/", port: str = "") -> tuple[int, str]:
        answer: tuple[int, str] = self.embedded.get(self.edge["Host"] + port, path)
        return answer

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.embedded.client("ecs").describe_services(cluster="serving", services=["model"])
        service: dict[str, Any] = found["services"][0]
        return service

    def reason(self) -> str:
        """Why the service's last update failed, as CloudFormation tells it."""
        events = self.embedded.client("cloudformation").describe_stack_events(StackName="release")["StackEvents"]
        return next(
            str(event["ResourceStatusReason"])
            for event in events
            if event["LogicalResourceId"] == "Service" and event["ResourceStatus"].endswith("_FAILED")
        )

    def status(self) -> str:
        stacks = self.embedded.client("cloudformation").describe_stacks(StackName="release")["Stacks"]
        return str(stacks[0]["StackStatus"])

    def under_way(self) -> list[str]:
        """Deployments of the service that have begun and not ended."""
        ecs = self.embedded.client("ecs")
        found = ecs.list_service_deployments(cluster="serving", service="model", status=["IN_PROGRESS"])
        return [each["serviceDeploymentArn"] for each in found["serviceDeployments"] if "finishedAt" not in each]

    def running(self) -> list[str]:
        ecs = self.embedded.client("ecs")
        arns: list[str] = ecs.list_tasks(cluster="serving", serviceName="model")["taskArns"]
        return arns


@pytest.fixture(scope="module")
def serving(embedded: Any, make_image: Callable[[str], str]) -> Iterator[Serving]:
    cloudformation = embedded.client("cloudformation")
    cloudformation.create_stack(StackName="edge", TemplateBody=json.dumps(EDGE), Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="edge", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )
    outputs = cloudformation.describe_stacks(StackName="edge")["Stacks"][0]["Outputs"]
    yield Serving(embedded, {output["OutputKey"]: output["OutputValue"] for output in outputs})


@pytest.fixture(scope="module")
def released(serving: Serving, make_image: Callable[[str], str]) -> Serving:
    """The edge with version `one` behind it."""
    serving.release(make_image("one"))
    return serving


def states(serving: Serving, group: str) -> list[str]:
    elbv2 = serving.embedded.client("elbv2")
    found = elbv2.describe_target_health(TargetGroupArn=serving.edge[group])["TargetHealthDescriptions"]
    return [target["TargetHealth"]["State"] for target in found]


def weights(serving: Serving, rule: str) -> dict[str, int]:
    rules = serving.embedded.client("elbv2").describe_rules(RuleArns=[serving.edge[rule]])["Rules"]
    names = {serving.edge[name]: name for name in ("Blue", "Green")}
    groups = rules[0]["Actions"][0]["ForwardConfig"]["TargetGroups"]
    return {names[group["TargetGroupArn"]]: group["Weight"] for group in groups}


def test_before_any_release_the_load_balancer_answers_503_with_its_own_page(serving: Serving) -> None:
    status, body = serving.get()
    assert (status, body.startswith("<html>")) == (503, True)


def test_the_first_release_goes_to_the_primary_group(released: Serving) -> None:
    assert released.get() == (200, "one")
    assert weights(released, "Production") == {"Blue": 100, "Green": 0}
    deployment = released.service()["deployments"][0]
    assert (deployment["rolloutState"], deployment["runningCount"]) == ("COMPLETED", 1)


def test_the_process_listens_on_loopback_and_acts_as_the_task_role(released: Serving) -> None:
    environment = json.loads(released.get("/environment")[1])
    assert environment["BIND_HOST"] == "127.0.0.1"
    assert environment["BIND_PORT"] != "8080"
    assert environment["GREETING"] == "hello"
    session = boto3.session.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], environment["AWS_SESSION_TOKEN"]
    )
    reach = {
        "region_name": environment["AWS_REGION"],
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
        "verify": environment["AWS_CA_BUNDLE"],
    }
    assert ":assumed-role/task/" in session.client("sts", **reach).get_caller_identity()["Arn"]
    with pytest.raises(ClientError, match="not authorized to perform: sns:ListTopics"):
        session.client("sns", **reach).list_topics()


def test_it_is_told_the_revision_that_it_runs_which_is_the_services(released: Serving) -> None:
    environment = json.loads(released.get("/environment")[1])
    runs = task_definition(environment[ENDPOINT])
    assert runs == released.service()["taskDefinition"].rpartition("/")[2]
    with pytest.raises(RefusedError, match="found ValueError: HTTP 404"):
        task_definition(environment[ENDPOINT] + "f")


def test_its_output_is_in_cloudwatch_logs(released: Serving, until: Callable[..., Any]) -> None:
    logs = released.embedded.client("logs")

    def messages() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName="/serving")["events"]]

    until(lambda: "starting one" in messages())


def test_a_line_that_describes_a_metric_becomes_one(released: Serving, until: Callable[..., Any]) -> None:
    cloudwatch = released.embedded.client("cloudwatch")

    def listed() -> list[Any]:
        found: list[Any] = cloudwatch.list_metrics(Namespace="Tests")["Metrics"]
        return found

    until(listed)
    assert {"Name": "Release", "Value": "one"} in [each for metric in listed() for each in metric["Dimensions"]]


def test_a_release_shifts_to_the_other_group_without_a_failed_request(
    released: Serving, make_image: Callable[[str], str], until: Callable[..., Any]
) -> None:
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answers.append(released.get())

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        released.release(make_image("two"))
        shifted = len(answers)
        until(lambda: len(answers) > shifted + 10)
    finally:
        over.set()
        for client in clients:
            client.join()
    assert set(answers) == {(200, "one"), (200, "two")}
    assert set(answers[shifted + 6 :]) == {(200, "two")}
    assert weights(released, "Production") == weights(released, "Test") == {"Blue": 0, "Green": 100}
    assert released.get(port=":9000") == (200, "two")
    until(lambda: states(released, "Blue") == [])
    assert len(released.running()) == 1


def test_a_release_that_is_never_healthy_leaves_the_old_one_serving(
    released: Serving, make_image: Callable[[str], str], until: Callable[..., Any]
) -> None:
    before = released.get()
    serving_rule = weights(released, "Production")
    with pytest.raises(WaiterError):
        released.release(make_image("sick"))
    assert released.get() == before
    assert weights(released, "Production") == serving_rule
    assert released.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert "Target.ResponseCodeMismatch (Health checks failed with these codes: [503])" in released.reason()
    failed = next(d for d in released.service()["deployments"] if d["rolloutState"] == "FAILED")
    assert "did not become healthy" in failed["rolloutStateReason"]
    until(lambda: len(released.running()) == 1)


def test_a_release_whose_process_ends_fails_with_its_exit_code(
    released: Serving, make_image: Callable[[str], str]
) -> None:
    before = released.get()
    with pytest.raises(WaiterError):
        released.release(make_image("ends"))
    assert released.get() == before
    assert "Essential container in task exited" in released.reason()
    ecs = released.embedded.client("ecs")
    stopped = ecs.list_tasks(cluster="serving", desiredStatus="STOPPED")["taskArns"]
    tasks = ecs.describe_tasks(cluster="serving", tasks=stopped)["tasks"]
    assert 3 in [task["containers"][0].get("exitCode") for task in tasks]


def test_a_release_without_image_cannot_be_pulled(released: Serving) -> None:
    with pytest.raises(WaiterError):
        released.release("111111111111.dkr.ecr.us-east-1.amazonaws.com/app:missing")
    assert "CannotPullContainerError" in released.reason()


def test_an_alarm_stops_a_release(
    released: Serving, make_image: Callable[[str], str], until: Callable[..., Any]
) -> None:
    cloudwatch = released.embedded.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        Namespace="Test",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    image = make_image("sick-and-alarming")

    def alarm() -> None:
        until(released.under_way)
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")

    raised = threading.Thread(target=alarm)
    raised.start()
    try:
        with released.embedded.held_clock(), pytest.raises(WaiterError):
            released.release(image)
    finally:
        raised.join()
    assert "alarms in ALARM state: errors" in released.reason()


def test_an_alarm_on_what_a_task_writes_into_its_log_stops_its_release(
    released: Serving, make_image: Callable[[str], str], until: Callable[..., Any]
) -> None:
    """The alarm names the release that is being deployed; what the one before writes is another metric."""
    cloudwatch, before = released.embedded.client("cloudwatch"), released.get()
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        Namespace="Tests",
        MetricName="Distance",
        Dimensions=[{"Name": "Release", "Value": "shifted"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.2,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    # Another test left it in ALARM, which a deployment would ignore.
    released.embedded.move_clock(advance=60)
    assert cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"][0]["StateValue"] == "OK"
    with pytest.raises(WaiterError):
        released.release(make_image("shifted"), bake="1200")
    assert "alarms in ALARM state: errors" in released.reason()
    assert released.get() == before


def test_an_alarm_that_was_in_alarm_before_is_ignored(released: Serving, make_image: Callable[[str], str]) -> None:
    cloudwatch = released.embedded.client("cloudwatch")
    cloudwatch.put_metric_alarm(  # on what nobody publishes: nothing but us changes its state
        AlarmName="errors",
        Namespace="Tests",
        MetricName="Nothing",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="before")
    try:
        released.release(make_image("three"))
    finally:
        cloudwatch.delete_alarms(AlarmNames=["errors"])
    assert released.get() == (200, "three")


def test_a_deployment_that_hangs_is_stopped_and_the_old_release_serves(
    released: Serving, make_image: Callable[[str], str], until: Callable[..., Any]
) -> None:
    ecs, image, before = released.embedded.client("ecs"), make_image("sick-for-ever"), released.get()
    stopped = threading.Thread(
        target=lambda: ecs.stop_service_deployment(
            serviceDeploymentArn=until(released.under_way)[0], stopType="ROLLBACK"
        )
    )
    stopped.start()
    with released.embedded.held_clock(), pytest.raises(WaiterError):
        released.release(image)
    stopped.join()
    assert "it was stopped by StopServiceDeployment (ROLLBACK)" in released.reason()
    assert released.get() == before
    with pytest.raises(ClientError, match="does not run"):
        ecs.stop_service_deployment(serviceDeploymentArn="arn:aws:ecs:::x/y/z")


def test_a_role_that_may_not_rewrite_the_rule_stops_a_release(
    released: Serving, make_image: Callable[[str], str]
) -> None:
    iam = released.embedded.client("iam")
    policy = iam.get_role_policy(RoleName="deploy", PolicyName="own")["PolicyDocument"]
    nothing = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "elasticloadbalancing:RegisterTargets", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="deploy", PolicyName="own", PolicyDocument=json.dumps(nothing))
    try:
        with pytest.raises(WaiterError):
            released.release(make_image("four"))
    finally:
        iam.put_role_policy(RoleName="deploy", PolicyName="own", PolicyDocument=json.dumps(policy))
    assert "not authorized to perform: elasticloadbalancing:ModifyRule" in released.reason()


@pytest.mark.parametrize(("tag", "may"), [("staging", False), ("prod", True)])
def test_a_role_may_fill_the_target_groups_that_bear_its_tag(
    released: Serving, make_image: Callable[[str], str], tag: str, may: bool
) -> None:
    iam, elb = released.embedded.client("iam"), released.embedded.client("elbv2")
    groups = [group["TargetGroupArn"] for group in elb.describe_target_groups()["TargetGroups"]]
    elb.add_tags(ResourceArns=groups, Tags=[{"Key": "of", "Value": "prod"}])
    policy = iam.get_role_policy(RoleName="deploy", PolicyName="own")["PolicyDocument"]
    anything = {"Effect": "Allow", "Action": "elasticloadbalancing:ModifyRule", "Resource": "*"}
    tagged = {
        "Effect": "Allow",
        "Action": ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
        "Resource": "arn:aws:elasticloadbalancing:*:*:targetgroup/*",
        "Condition": {"StringEquals": {"aws:ResourceTag/of": tag}},
    }
    only = {"Version": "2012-10-17", "Statement": [anything, tagged]}
    iam.put_role_policy(RoleName="deploy", PolicyName="own", PolicyDocument=json.dumps(only))
    try:
        if may:
            released.release(make_image(f"tagged-{tag}"))
        else:
            with pytest.raises(WaiterError):
                released.release(make_image(f"tagged-{tag}"))
            assert "not authorized to perform: elasticloadbalancing:RegisterTargets" in released.reason()
    finally:
        iam.put_role_policy(RoleName="deploy", PolicyName="own", PolicyDocument=json.dumps(policy))


def test_a_dead_task_is_replaced(
    released: Serving, until: Callable[..., Any], events: Callable[[str], Callable[..., Any]]
) -> None:
    received = events("aws.ecs")
    (before,) = until(released.running)
    version = released.get()[1]
    with contextlib.suppress(OSError):
        released.get("/end")
    until(lambda: released.running() not in ([], [before]))
    until(lambda: released.get() == (200, version))
    ecs = released.embedded.client("ecs")
    task = ecs.describe_tasks(cluster="serving", tasks=[before])["tasks"][0]
    assert (task["lastStatus"], task["containers"][0]["exitCode"]) == ("STOPPED", 9)
    event = received(lambda e: e["detail"].get("taskArn") == before and e["detail"]["lastStatus"] == "STOPPED")
    assert event["detail-type"] == "ECS Task State Change"
    assert event["detail"]["stopCode"] == "EssentialContainerExited"


def test_deployments_are_listed_with_how_they_ended(released: Serving) -> None:
    ecs = released.embedded.client("ecs")
    found = ecs.list_service_deployments(service="model", cluster="serving")["serviceDeployments"]
    assert "SUCCESSFUL" in {deployment["status"] for deployment in found}
    assert "ROLLBACK_SUCCESSFUL" in {deployment["status"] for deployment in found}
    (details,) = ecs.describe_service_deployments(serviceDeploymentArns=[found[-1]["serviceDeploymentArn"]])[
        "serviceDeployments"
    ]
    assert details["lifecycleStage"] == "CLEAN_UP"


def test_a_deleted_service_ends_its_processes(released: Serving, until: Callable[..., Any]) -> None:
    port = json.loads(released.get("/environment")[1])["BIND_PORT"]
    cloudformation = released.embedded.client("cloudformation")
    cloudformation.delete_stack(StackName="release")
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName="release", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100}
    )

    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(port))) != 0

    until(refused)
    until(lambda: released.get()[0] == 503)
    assert released.running() == []
