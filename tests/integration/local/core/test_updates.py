"""An update meets another one, cannot be taken back, or meets calls that run: as on AWS, nothing is done by halves."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

# Holds its stack until somebody signals.
GATE = {
    "Type": "AWS::CloudFormation::WaitCondition",
    "CreationPolicy": {"ResourceSignal": {"Count": 1, "Timeout": "PT5M"}},
}


def queue(seconds: int) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": seconds}}


def alarm(threshold: int) -> dict[str, Any]:
    properties = {
        "AlarmName": "guarded",
        "Namespace": "Tests",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def template(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


@pytest.fixture
def status(aws: Any, wait_until: Callable[..., Any]) -> Callable[..., str]:
    """Wait until a stack has one of these statuses."""

    def read(stack: str, *wanted: str) -> str:
        def found() -> str:
            described: str = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            return described

        reached: str = wait_until(found, lambda it: it in wanted)
        return reached

    return read


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_stack_takes_one_update_at_a_time(aws: Any, status: Callable[..., str]) -> None:
    cloudformation = aws.client("cloudformation")
    aws.deploy("busy", {"Queue": queue(1)})
    cloudformation.create_change_set(StackName="busy", ChangeSetName="before", TemplateBody=template(Queue=queue(2)))
    cloudformation.update_stack(StackName="busy", TemplateBody=template(Queue=queue(1), Gate=GATE))
    status("busy", "UPDATE_IN_PROGRESS")
    another = {"StackName": "busy", "TemplateBody": template(Queue=queue(3))}
    running = "is in UPDATE_IN_PROGRESS state and can not be updated."
    for code, said in (
        refusal(cloudformation.update_stack, **another),
        refusal(cloudformation.create_change_set, ChangeSetName="meanwhile", **another),
    ):
        assert (code, running in said) == ("ValidationError", True)
    execute = {"StackName": "busy", "ChangeSetName": "before"}
    assert refusal(cloudformation.execute_change_set, **execute)[0] == "InvalidChangeSetStatus"
    cloudformation.signal_resource(StackName="busy", LogicalResourceId="Gate", UniqueId="1", Status="SUCCESS")
    status("busy", "UPDATE_COMPLETE")
    code, said = refusal(cloudformation.execute_change_set, **execute)
    assert (code, "OBSOLETE" in said) == ("InvalidChangeSetStatus", True)


def test_a_stack_that_cannot_go_back_says_so_until_it_can(
    aws: Any, status: Callable[..., str], policy: Callable[..., str], wait_until: Callable[..., Any]
) -> None:
    cloudformation, iam = aws.client("cloudformation"), aws.client("iam")
    trust = {"Principal": {"Service": "cloudformation.amazonaws.com"}}
    role = aws.role("changes-alarms", trust, {"Action": "cloudwatch:*", "Resource": "*"})
    heard = aws.client("sqs").create_queue(QueueName="stuck")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("events").put_rule(
        Name="stuck",
        EventPattern=json.dumps(
            {
                "source": ["aws.cloudformation"],
                "detail-type": ["CloudFormation Stack Status Change"],
                "detail": {"status-details": {"status": ["UPDATE_ROLLBACK_FAILED"]}},
            }
        ),
    )
    allow = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    aws.client("sqs").set_queue_attributes(QueueUrl=heard, Attributes={"Policy": policy(allow)})
    aws.client("events").put_targets(Rule="stuck", Targets=[{"Id": "heard", "Arn": arn}])
    cloudformation.create_stack(StackName="stuck", TemplateBody=template(Alarm=alarm(1)), RoleARN=role)
    status("stuck", "CREATE_COMPLETE")
    changed = template(Alarm=alarm(2), Gate={**GATE, "DependsOn": "Alarm"})
    cloudformation.update_stack(StackName="stuck", TemplateBody=changed, RoleARN=role)
    wait_until(lambda: "Gate" in [event["LogicalResourceId"] for event in events(cloudformation, "stuck")])
    deny = {"Effect": "Deny", "Action": "cloudwatch:PutMetricAlarm", "Resource": "*"}
    iam.put_role_policy(RoleName="changes-alarms", PolicyName="deny", PolicyDocument=policy(deny))
    cloudformation.signal_resource(StackName="stuck", LogicalResourceId="Gate", UniqueId="1", Status="FAILURE")
    status("stuck", "UPDATE_ROLLBACK_FAILED")
    described = cloudformation.describe_stacks(StackName="stuck")["Stacks"][0]
    assert described["StackStatusReason"] == "The following resource(s) failed to update: [Alarm]."
    told = aws.client("sqs").receive_message(QueueUrl=heard, WaitTimeSeconds=20)["Messages"][0]["Body"]
    assert json.loads(told)["detail"]["stack-id"] == described["StackId"]
    cloudformation.continue_update_rollback(StackName="stuck", RoleARN=role)
    wait_until(lambda: len(stuck(cloudformation)) == 2)
    code, said = refusal(cloudformation.update_stack, StackName="stuck", TemplateBody=changed)
    assert (code, "is in UPDATE_ROLLBACK_FAILED state" in said) == ("ValidationError", True)
    iam.delete_role_policy(RoleName="changes-alarms", PolicyName="deny")
    cloudformation.continue_update_rollback(StackName="stuck", RoleARN=role)
    status("stuck", "UPDATE_ROLLBACK_COMPLETE")
    (found,) = aws.client("cloudwatch").describe_alarms(AlarmNames=["guarded"])["MetricAlarms"]
    assert found["Threshold"] == 1


def stuck(cloudformation: Any) -> list[dict[str, Any]]:
    """Each time that the stack could not go back."""
    found = events(cloudformation, "stuck")
    return [event for event in found if event["ResourceStatus"] == "UPDATE_ROLLBACK_FAILED"]


def events(cloudformation: Any, stack: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return found


SLOW = """
import os, time
def handler(event, context):
    open(event["began"], "w").close()
    while not os.path.exists(event["until"]):
        time.sleep(0.02)
    return os.environ.get("SAYS")
"""


@pytest.mark.parametrize("what", ["configuration", "code"])
def test_a_call_ends_as_it_began_when_its_function_is_updated_meanwhile(
    aws: Any, wait_until: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    lambda_, name = aws.client("lambda"), f"updated-{what}"
    aws.function(name, SLOW)
    began, until = tmp_path / "began", tmp_path / "until"
    payload = json.dumps({"began": str(began), "until": str(until)})

    def call() -> Any:
        answer = lambda_.invoke(FunctionName=name, Payload=payload)
        return answer.get("FunctionError"), json.load(answer["Payload"])

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call)
        wait_until(began.exists)
        if what == "code":
            archive = aws.archive(SLOW.replace('os.environ.get("SAYS")', '"new"'))
            lambda_.update_function_code(FunctionName=name, ZipFile=archive)
        else:
            lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {"SAYS": "new"}})
        until.touch()
        assert running.result() == (None, None)
    assert call() == (None, "new")
