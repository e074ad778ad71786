"""Faults happen as they are asked for, to whom, at the call and as often; without the file there are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

SOURCE = """
import boto3
def handler(event, context):
    s3 = boto3.client("s3")
    for number in range(3):
        s3.put_object(Bucket="faulty", Key=f"{event['run']}/{number}", Body=b"")
    return "done"
"""


@pytest.fixture
def ask_for(aws: Any) -> Iterator[Callable[..., None]]:
    """Ask for faults; what was injected before is forgotten."""
    settings = aws.session.settings

    def ask(*rules: dict[str, Any]) -> None:
        settings.faults_log.unlink(missing_ok=True)
        settings.faults_file.write_text(json.dumps(rules))

    yield ask
    settings.faults_file.unlink(missing_ok=True)


@pytest.fixture
def injected(aws: Any) -> Callable[[], list[tuple[str, int]]]:
    def read() -> list[tuple[str, int]]:
        log = aws.session.settings.faults_log
        lines = log.read_text().splitlines() if log.exists() else []
        return [(fact["kind"], fact["call"]) for fact in map(json.loads, lines)]

    return read


@pytest.fixture(scope="module")
def invoke(aws: Any) -> Callable[[str], Any]:
    """Invoke the function; "done", or its error."""
    aws.client("s3").create_bucket(Bucket="faulty")
    aws.client("s3").put_bucket_versioning(Bucket="faulty", VersioningConfiguration={"Status": "Enabled"})
    aws.function("faulty", SOURCE)
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    aws.client("iam").put_role_policy(RoleName="faulty-role", PolicyName="allow", PolicyDocument=document)

    def call(run: str) -> Any:
        answer = aws.client("lambda").invoke(FunctionName="faulty", Payload=json.dumps({"run": run}))
        return json.load(answer["Payload"])

    return call


def keys(aws: Any, run: str) -> list[str]:
    listed = aws.client("s3").list_objects_v2(Bucket="faulty", Prefix=f"{run}/").get("Contents", [])
    return [entry["Key"].rpartition("/")[2] for entry in listed]


@pytest.mark.parametrize(("kind", "made"), [("dies-before", ["0"]), ("dies-after", ["0", "1"])])
def test_a_function_dies_between_two_of_its_calls(
    aws: Any, ask_for: Any, injected: Any, invoke: Any, kind: str, made: list[str]
) -> None:
    ask_for({"id": kind, "kind": kind, "who": "faulty-role", "call": 2})
    assert "errorType" in invoke(kind)
    assert keys(aws, kind) == made
    assert injected() == [(kind, 2)]
    assert invoke(kind) == "done", "the next one lives"


@pytest.mark.parametrize("kind", ["throttled", "answer-lost", "unanswered"])
def test_what_an_sdk_knows_how_to_try_again_is_tried_again(
    aws: Any, ask_for: Any, injected: Any, invoke: Any, kind: str
) -> None:
    ask_for({"id": kind, "kind": kind, "who": "faulty-role", "call": 1})
    assert invoke(kind) == "done"
    assert injected() == [(kind, 1)]


READING = """
import boto3
def handler(event, context):
    s3 = boto3.client("s3")
    for _ in range(3):
        s3.list_objects_v2(Bucket="faulty", Prefix="nothing/")
    s3.put_object(Bucket="faulty", Key="reading", Body=b"")
    return "done"
"""


def test_reads_in_a_row_are_one_call(aws: Any, ask_for: Any, injected: Any, invoke: Any) -> None:
    aws.function("reading", READING)
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    aws.client("iam").put_role_policy(RoleName="reading-role", PolicyName="allow", PolicyDocument=document)
    ask_for({"id": "writes", "kind": "dies-before", "who": "reading-role", "call": 2})
    answer = aws.client("lambda").invoke(FunctionName="reading", Payload=b"{}")
    assert "FunctionError" in answer
    assert injected() == [("dies-before", 2)]
    assert "PUT" in aws.session.settings.faults_log.read_text()


def test_a_rule_that_went_and_comes_again_counts_anew(aws: Any, ask_for: Any, injected: Any, invoke: Any) -> None:
    rule = {"id": "again", "kind": "answer-lost", "who": "faulty-role", "call": 1}
    for _ in range(2):
        ask_for(rule)
        assert invoke("again") == "done"
        assert injected() == [("answer-lost", 1)]
        ask_for()
        assert invoke("again") == "done"
        assert injected() == []


def test_a_throttled_call_is_refused_in_the_words_of_its_protocol(aws: Any, ask_for: Any) -> None:
    ask_for({"id": "all", "kind": "throttled", "who": "user/ada", "call": 1, "times": 1000})
    for service, call, code in (
        ("s3", "list_buckets", "SlowDown"),
        ("sts", "get_caller_identity", "Throttling"),
        ("stepfunctions", "list_state_machines", "ThrottlingException"),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(aws.client(service), call)()
        assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(("kind", "times"), [("event-lost", 0), ("event-twice", 2), ("event-late", 1)])
def test_an_event_is_lost_doubled_or_late(
    aws: Any, ask_for: Any, invoke: Any, wait_until: Any, kind: str, times: int
) -> None:
    events, run = aws.client("events"), f"of-{kind}"
    arn = aws.client("lambda").get_function(FunctionName="faulty")["Configuration"]["FunctionArn"]
    events.put_rule(Name=kind, EventPattern=json.dumps({"source": [kind]}))
    events.put_targets(Rule=kind, Targets=[{"Id": "one", "Arn": arn, "Input": json.dumps({"run": run})}])
    ask_for({"id": kind, "kind": kind, "function": "faulty"})

    def told() -> int:
        """Invocations that came to their end: each leaves three versions of objects."""
        listed = aws.client("s3").list_object_versions(Bucket="faulty", Prefix=f"{run}/").get("Versions", [])
        return len(listed) // 3

    def put(source: str) -> None:
        events.put_events(Entries=[{"Source": source, "DetailType": "x", "Detail": "{}"}])

    put(kind)
    wait_until(lambda: told() == times and aws.session.settings.faults_log.exists())
    put(kind)
    wait_until(lambda: told() == times + 1)  # one rule is for one event


def test_a_closed_account_answers_nobody_and_keeps_what_it_has_from_others(aws: Any, ask_for: Any) -> None:
    aws.client("s3").create_bucket(Bucket="of-tools")
    aws.client("s3").put_object(Bucket="of-tools", Key="key", Body=b"")
    ask_for({"id": "closed", "kind": "account-closed", "account": aws.tools})
    for closed in (
        lambda: aws.client("sts").get_caller_identity(),
        lambda: aws.client("s3", "dev").get_object(Bucket="of-tools", Key="key"),
        lambda: aws.client("ecr", "dev").describe_repositories(registryId=aws.tools),
        lambda: aws.client("sts", "dev").assume_role(
            RoleArn=f"arn:aws:iam::{aws.tools}:role/any", RoleSessionName="dev"
        ),
    ):
        with pytest.raises(ClientError, match="503"):
            closed()
    assert aws.client("sts", "dev").get_caller_identity()["Account"] == aws.dev
    ask_for()
    assert aws.client("sts").get_caller_identity()["Account"] == aws.tools


def test_an_event_comes_after_the_next_one(aws: Any, ask_for: Any, invoke: Any, wait_until: Any) -> None:
    arn = aws.client("lambda").get_function(FunctionName="faulty")["Configuration"]["FunctionArn"]
    events = aws.client("events")
    for source in ("first", "second"):
        events.put_rule(Name=source, EventPattern=json.dumps({"source": [f"reordered-{source}"]}))
        target = {"Id": "one", "Arn": arn, "Input": json.dumps({"run": f"reordered-{source}"})}
        events.put_targets(Rule=source, Targets=[target])
    ask_for({"id": "reordered", "kind": "event-reordered", "function": "faulty"})

    def put(source: str) -> None:
        events.put_events(Entries=[{"Source": f"reordered-{source}", "DetailType": "x", "Detail": "{}"}])

    put("first")
    wait_until(aws.session.settings.faults_log.exists)
    assert keys(aws, "reordered-first") == []
    put("second")
    for source in ("second", "first"):
        wait_until(lambda source=source: len(keys(aws, f"reordered-{source}")) == 3)
