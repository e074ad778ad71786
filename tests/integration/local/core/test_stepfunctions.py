"""A task of a state machine acts as a role, in that role's account, and only as far as the role may."""

from __future__ import annotations

import json
from typing import Any

import pytest

WHO = """
import boto3
def handler(event, context):
    return {"who": boto3.client("sts").get_caller_identity()["Arn"], "event": event}
"""
BY_STATES = {"Principal": {"Service": "states.amazonaws.com"}}
INVOKE = "arn:aws:states:::lambda:invoke"


@pytest.fixture(scope="module")
def functions(aws: Any) -> dict[str, str]:
    return {name: aws.function(f"who-{name}", WHO, profile=name) for name in ("tools", "dev")}


def run(aws: Any, wait_until: Any, name: str, role: str, state: dict[str, Any]) -> dict[str, Any]:
    """The finished execution of a machine with one task."""
    states = aws.client("stepfunctions")
    definition = {
        "StartAt": "Task",
        "States": {"Task": {"Type": "Task", "End": True, **state}, "Caught": {"Type": "Pass", "End": True}},
    }
    machine = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"], input='{"a": 1}')["executionArn"]
    finished: dict[str, Any] = wait_until(
        lambda: states.describe_execution(executionArn=execution), lambda found: found["status"] != "RUNNING"
    )
    return finished


def invoke(function: str, **more: Any) -> dict[str, Any]:
    return {
        "Resource": INVOKE,
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "OutputPath": "$.Payload",
        **more,
    }


def test_a_function_is_invoked_if_the_machines_role_may(aws: Any, functions: dict[str, str], wait_until: Any) -> None:
    may = {"Action": "lambda:InvokeFunction", "Resource": functions["tools"]}
    finished = run(aws, wait_until, "may", aws.role("may", BY_STATES, may), invoke(functions["tools"]))
    assert json.loads(finished["output"])["event"] == {"a": 1}


def test_a_function_is_not_invoked_if_the_machines_role_may_not(
    aws: Any, functions: dict[str, str], wait_until: Any
) -> None:
    finished = run(aws, wait_until, "may-not", aws.role("may-not", BY_STATES), invoke(functions["tools"]))
    assert finished["status"] == "FAILED"
    assert finished["error"] == "Lambda.AWSLambdaException"
    assert "is not authorized to perform: lambda:InvokeFunction on resource" in finished["cause"]


def test_a_role_that_step_functions_may_not_assume_runs_nothing(
    aws: Any, functions: dict[str, str], wait_until: Any
) -> None:
    anything = {"Action": "*", "Resource": "*"}
    role = aws.role("not-for-states", {"Principal": {"Service": "lambda.amazonaws.com"}}, anything)
    finished = run(aws, wait_until, "not-for-states", role, invoke(functions["tools"]))
    assert finished["status"] == "FAILED"


def across(aws: Any, functions: dict[str, str], name: str, *, trusted: str, own: bool, target: bool) -> tuple[str, Any]:
    """A machine's role and its task on the other account's function, with permissions on either side as told."""
    far = f"arn:aws:iam::{aws.dev}:role/{name}"
    near_allow = {"Action": "sts:AssumeRole", "Resource": far} if own else None
    near = aws.role(name, BY_STATES, near_allow)
    trust = {
        "Principal": {"AWS": f"arn:aws:iam::{aws.tools}:root"},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{aws.tools}:role/{trusted}"}},
    }
    far_allow = {"Action": "lambda:InvokeFunction", "Resource": functions["dev"]} if target else None
    aws.role(name, trust, far_allow, profile="dev")
    return near, invoke(functions["dev"], Credentials={"RoleArn": far})


def test_a_task_with_credentials_acts_in_the_other_account(
    aws: Any, functions: dict[str, str], wait_until: Any
) -> None:
    role, task = across(aws, functions, "across", trusted="across", own=True, target=True)
    finished = run(aws, wait_until, "across", role, task)
    assert json.loads(finished["output"])["who"] == f"arn:aws:sts::{aws.dev}:assumed-role/who-dev-role/who-dev"


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("not-trusted", {"trusted": "another"}, "not authorized to assume the task state's role"),
        ("not-own", {"own": False}, "not authorized to assume the task state's role"),
        ("not-target", {"target": False}, "is not authorized to perform: lambda:InvokeFunction"),
    ],
)
def test_each_missing_permission_stops_it(
    aws: Any, functions: dict[str, str], wait_until: Any, name: str, missing: dict[str, Any], message: str
) -> None:
    given = {"trusted": name, "own": True, "target": True, **missing}
    finished = run(aws, wait_until, name, *across(aws, functions, name, **given))
    assert finished["status"] == "FAILED"
    assert message in finished["cause"]


def test_a_refused_role_can_be_caught(aws: Any, functions: dict[str, str], wait_until: Any) -> None:
    role, task = across(aws, functions, "caught", trusted="another", own=True, target=True)
    caught = {**task, "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]}
    finished = run(aws, wait_until, "caught", role, caught)
    assert finished["status"] == "SUCCEEDED"
    assert json.loads(finished["output"])["Error"] == "States.TaskFailed"


def test_a_call_of_another_service_needs_the_roles_permission(aws: Any, wait_until: Any) -> None:
    aws.client("ssm").put_parameter(Name="/states/read", Value="7", Type="String")
    task = {"Resource": "arn:aws:states:::aws-sdk:ssm:getParameter", "Parameters": {"Name": "/states/read"}}
    refused = run(aws, wait_until, "ssm-not", aws.role("ssm-not", BY_STATES), task)
    assert "not authorized to perform: ssm:GetParameter" in refused["cause"]
    may = {"Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:us-east-1:{aws.tools}:parameter/states/read"}
    done = run(aws, wait_until, "ssm-may", aws.role("ssm-may", BY_STATES, may), task)
    assert json.loads(done["output"])["Parameter"]["Value"] == "7"


TWICE = """
import json, os, signal
def handler(event, context):
    tokens = os.path.join(os.environ["TMPDIR"], event["name"])
    with open(tokens, "a") as file:
        file.write(event["token"] + "\\n")
    if event["how"] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    class BusyError(Exception): ...
    raise BusyError("another update runs")
"""


@pytest.mark.parametrize(("how", "error"), [("raises", "BusyError"), ("dies", "Runtime.ExitError")])
@pytest.mark.parametrize("waits", ["", ".waitForTaskToken"], ids=["answers", "waits-for-a-token"])
def test_a_failed_function_fails_its_task_by_the_name_of_what_it_raised(
    aws: Any, wait_until: Any, how: str, error: str, waits: str
) -> None:
    name = f"fails-{how}{waits.replace('.', '-')}"
    function = aws.function(name, TWICE)
    may = {"Action": "lambda:InvokeFunction", "Resource": function}
    task = {
        "Resource": INVOKE + waits,
        "QueryLanguage": "JSONata",
        "Arguments": {
            "FunctionName": function,
            "Payload": {
                "name": name,
                "how": how,
                "token": "{% $states.context.Task.Token %}" if waits else "none",
            },
        },
        "Retry": [{"ErrorEquals": [error], "IntervalSeconds": 1, "MaxAttempts": 2}],
    }
    finished = run(aws, wait_until, name, aws.role(name, BY_STATES, may), task)
    assert (finished["status"], finished["error"]) == ("FAILED", error)
    tokens = (aws.session.settings.scratch / name).read_text().split()
    assert len(tokens) == 3
    assert len(set(tokens)) == (3 if waits else 1), "a retry waits with a token of its own"


ANSWERS = """
import boto3
from botocore.exceptions import ClientError
def handler(event, context):
    try:
        boto3.client("stepfunctions").send_task_success(taskToken=event, output="{}")
    except ClientError as error:
        return error.response["Error"]["Code"]
"""


def test_a_token_that_nobody_waits_for_is_answered_as_such_and_only_to_who_may(aws: Any, wait_until: Any) -> None:
    function = aws.function("ended", TWICE)
    may = {"Action": "lambda:InvokeFunction", "Resource": function}
    payload = {"name": "ended", "how": "raises", "token": "{% $states.context.Task.Token %}"}
    task = {
        "Resource": INVOKE + ".waitForTaskToken",
        "QueryLanguage": "JSONata",
        "Arguments": {"FunctionName": function, "Payload": payload},
    }
    run(aws, wait_until, "ended", aws.role("ended", BY_STATES, may), task)
    (token,) = (aws.session.settings.scratch / "ended").read_text().split()
    aws.function("answers", ANSWERS)

    def answered() -> Any:
        return json.load(aws.client("lambda").invoke(FunctionName="answers", Payload=json.dumps(token))["Payload"])

    assert answered() == "AccessDeniedException"
    machine = f"arn:aws:states:us-east-1:{aws.tools}:stateMachine:ended"
    allow = {"Effect": "Allow", "Action": "states:SendTaskSuccess", "Resource": machine}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    aws.client("iam").put_role_policy(RoleName="answers-role", PolicyName="allow", PolicyDocument=document)
    assert answered() == "TaskDoesNotExist"


def test_a_function_that_raised_goes_on_in_the_same_process(aws: Any) -> None:
    source = "import os\ndef handler(event, context):\n    if event: raise KeyError('gone')\n    return os.getpid()\n"
    aws.function("goes-on", source)

    def invoke_with(event: Any) -> Any:
        answer = aws.client("lambda").invoke(FunctionName="goes-on", Payload=json.dumps(event))
        return json.load(answer["Payload"]), answer.get("FunctionError")

    before, _ = invoke_with(0)
    raised, failed = invoke_with(1)
    assert (raised["errorType"], raised["errorMessage"], failed) == ("KeyError", "'gone'", "Unhandled")
    assert invoke_with(0) == (before, None)
