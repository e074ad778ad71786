"""Past the gate by a person's word, while the infrastructure is deployed as well."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from lockgate import names
from lockgate.aws.ledger import LedgerStore
from lockgate.config import read_configuration

ROOT = Path(__file__).parents[2]
CONFIGURATION = read_configuration(ROOT)
TOOLS = CONFIGURATION.tools
MODEL = "employment"
PROD = TOOLS.promotion[-1]
REFUSED = "2"  # the main job's second version: its model is bad, and its artifacts are what they claim to be
SECONDS = 240


@pytest.fixture(scope="module")
def demo(fresh_demo: Any) -> Any:
    return fresh_demo


@pytest.fixture
def as_profile(demo: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """A boto3 client of a service as the holder of a profile."""

    def client(service: str, profile: str = "tools") -> Any:
        for name, value in demo.session.environment(profile).items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        return boto3.Session(region_name=TOOLS.region).client(service)

    return client


@pytest.fixture
def heard(as_profile: Callable[..., Any]) -> Callable[[], list[str]]:
    """What the topic of failures of the tools account says from now on, to a queue that subscribes."""
    sns, sqs = as_profile("sns"), as_profile("sqs")
    (topic,) = [found["TopicArn"] for found in sns.list_topics()["Topics"] if "Failures" in found["TopicArn"]]
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def read() -> list[str]:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages", [])
        return [message["Body"] for message in got]

    return read


def glass(demo: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = demo.facts("status")["break_glass"]
    return found


def test_nobody_else_breaks_the_glass(demo: Any) -> None:
    for profile in ("ada", "grace", "ada-approver", f"{PROD}-operator"):
        done = demo.lockgate("break-glass", REFUSED, "--env", PROD, "--reason", "mine", profile=profile)
        assert done.returncode == 1, profile
    assert glass(demo) == []


def test_a_break_glass_during_a_cdk_deploy_is_heard_and_both_are_there_afterwards(
    demo: Any, heard: Callable[[], list[str]], as_profile: Callable[..., Any]
) -> None:
    settings = demo.clone / "environments" / f"{PROD}.toml"
    settings.write_text(settings.read_text().replace("tasks = 2", "tasks = 3"))
    command = ("cdk", "deploy", f"{PROD}/*", "--require-approval", "never", "--no-notices")
    environment = demo.environment(PROD)
    deploying = subprocess.Popen(
        command, cwd=demo.clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    answer = demo.facts("break-glass", REFUSED, "--env", PROD, "--reason", "prod is down", profile="ada-break-glass")
    texts: list[str] = []
    while not any("ada puts version 2 of employment into prod" in text for text in texts):
        more = heard()
        assert more, texts
        texts += more
    output, _ = deploying.communicate(timeout=SECONDS)
    if deploying.returncode:  # the promotion was first; CloudFormation takes one update at a time, and says so
        assert "IN_PROGRESS" in output, output
    deadline = time.monotonic() + SECONDS
    while glass(demo)[0]["outcome"] is None:
        assert time.monotonic() < deadline, glass(demo)
        time.sleep(1)
    if deploying.returncode:
        assert demo.run(*command, cwd=demo.clone, profile=PROD).returncode == 0
    (entry,) = glass(demo)
    assert (entry["record"], entry["outcome"], entry["person"]) == (answer["record"], "succeeded", "ada")
    found = demo.facts("status")["environments"][PROD]["models"][MODEL]
    assert (found["live"]["version"], found["differences"]) == (int(REFUSED), [])
    cloudformation = as_profile("cloudformation", PROD)
    body = cloudformation.get_template(StackName=names.release_stack(PROD, MODEL))["TemplateBody"]
    template = body if isinstance(body, dict) else json.loads(body)
    scaled = [r["Properties"] for r in template["Resources"].values() if r["Type"].endswith("ScalableTarget")]
    assert [properties["MinCapacity"] for properties in scaled] == [3]
    assert demo.facts("replay", PROD)["equal"] == 100


def test_the_ledger_has_one_record_before_and_one_after(demo: Any, as_profile: Callable[..., Any]) -> None:
    chain = LedgerStore(as_profile("s3"), names.bucket("ledger", TOOLS.account, TOOLS.region)).chain(MODEL)
    at_prod = [r for r in chain if (r.entry.version, r.entry.environment) == (int(REFUSED), PROD)]
    assert [record.entry.kind for record in at_prod] == ["break-glass", "deployment"]
    before, after = at_prod
    assert after.entry.body["release"]["verdict_id"] == f"{MODEL}/{before.sequence}"


def test_it_stays_open_until_somebody_else_acknowledges_it(demo: Any) -> None:
    (entry,) = glass(demo)
    assert "open until somebody else acknowledges it" in demo.lockgate("status").stdout
    own = demo.lockgate("acknowledge", entry["record"], "--reason", "fine", profile="ada-approver")
    assert (own.returncode, "another person has to acknowledge it" in own.stderr) == (1, True), own.stderr
    assert len(glass(demo)) == 1
    done = demo.lockgate("acknowledge", entry["record"], "--reason", "rolled forward tomorrow", profile="grace")
    assert done.returncode == 0, done.stderr
    assert glass(demo) == []
