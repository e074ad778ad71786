"""What hangs on the embedded AWS's clock, what is told by it, and how a test moves it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

HOUR = 3600
BY_STATES = {"Principal": {"Service": "states.amazonaws.com"}}
TELLS = """
import os, pathlib
def handler(event, context):
    return pathlib.Path(os.environ["LOCKGATE_CLOCK"]).read_text().split()
"""


@pytest.fixture(scope="module")
def waits_an_hour(aws: Any) -> str:
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": HOUR, "End": True}}}
    made = aws.client("stepfunctions").create_state_machine(
        name="waits", definition=json.dumps(definition), roleArn=aws.role("waits", BY_STATES)
    )
    return str(made["stateMachineArn"])


def start(aws: Any, machine: str) -> Callable[[], Any]:
    """How an execution that begins now is getting on."""
    states = aws.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    return lambda: states.describe_execution(executionArn=execution)


def ended(described: Any) -> bool:
    return bool(described["status"] != "RUNNING")


def test_an_hour_in_which_nothing_works_is_over_at_once_and_is_an_hour_in_all_times(
    aws: Any, waits_an_hour: str, wait_until: Any
) -> None:
    found = wait_until(start(aws, waits_an_hour), ended)
    assert (found["stopDate"] - found["startDate"]).total_seconds() >= HOUR
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="after-an-hour")
    s3.put_object(Bucket="after-an-hour", Key="a", Body=b"")
    written = s3.head_object(Bucket="after-an-hour", Key="a")["LastModified"]
    assert written >= found["stopDate"].replace(microsecond=0)
    assert written.timestamp() - time.time() > HOUR - 60


def test_a_held_clock_goes_on_when_it_is_told_to(aws: Any, waits_an_hour: str, wait_until: Any) -> None:
    held = aws.session.clock(hold=True)["now"]
    try:
        execution = start(aws, waits_an_hour)
        assert aws.session.clock(advance=HOUR / 2)["now"] == pytest.approx(held + HOUR / 2)
        assert execution()["status"] == "RUNNING"
        aws.session.clock(advance=HOUR / 2 + 60)
        assert ended(execution())
    finally:
        assert not aws.session.clock(hold=False)["held"]


def test_a_function_is_told_the_time(aws: Any) -> None:
    function = aws.function("tells-the-time", TELLS)
    held = aws.session.clock(hold=True)["now"]
    try:
        answer = aws.client("lambda").invoke(FunctionName=function)
        how, moment = json.load(answer["Payload"])
        assert (how, float(moment)) == ("held", pytest.approx(held))
    finally:
        aws.session.clock(hold=False)


def test_a_rule_that_is_due_each_hour_is_due_when_the_clock_says_so(aws: Any, policy: Any, wait_until: Any) -> None:
    queue = aws.client("sqs").create_queue(QueueName="hourly")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy(allow)})
    events = aws.client("events")
    events.put_rule(Name="hourly", ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule="hourly", Targets=[{"Id": "queue", "Arn": arn}])
    aws.session.clock(advance=HOUR / 2)
    assert "Messages" not in aws.client("sqs").receive_message(QueueUrl=queue)
    aws.session.clock(advance=HOUR)
    (message,) = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    told = datetime.fromisoformat(json.loads(message["Body"])["time"]).timestamp()
    assert told == pytest.approx(aws.session.clock()["now"], abs=HOUR)
    events.remove_targets(Rule="hourly", Ids=["queue"])
    events.delete_rule(Name="hourly")
