"""A second good version goes to production, and an operator takes production back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from lockgate import names
from lockgate.configuration.project import read_configuration

ROOT = Path(__file__).parents[2]
CONFIGURATION = read_configuration(ROOT)
MODEL = "employment"
PARAMETERS = f"model/{MODEL}/model.toml"
PROD = CONFIGURATION.tools.promotion[-1]
OPERATOR = f"{PROD}-operator"
SECONDS = 300


def client(demo: Any, monkeypatch: pytest.MonkeyPatch, service: str, profile: str) -> Any:
    for name, value in demo.session.environment(profile).items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    return boto3.Session(region_name=CONFIGURATION.tools.region).client(service)


def git(demo: Any, *arguments: str) -> None:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    done = demo.run("git", *identity, *arguments, cwd=demo.clone)
    assert done.returncode == 0, done.stderr


def better(demo: Any) -> int:
    """A step: a better version than the first is in production, and this is its number."""
    parameters = demo.clone / "model/employment/model.toml"
    parameters.write_text(
        (ROOT / "model/employment/model.toml").read_text().replace("max_iter = 100", "max_iter = 120")
    )
    git(demo, "commit", "--quiet", "--all", "--message", "A better model")
    demo.facts("deliver", cwd=demo.clone)
    waiting = demo.lockgate("follow", "--json", cwd=demo.clone)
    assert waiting.returncode == 4, waiting.stderr
    version = int(json.loads(waiting.stdout)["version"])
    approved = demo.lockgate("approve", str(version), "--env", PROD, "--reason", "better", profile="grace")
    assert approved.returncode == 0, approved.stderr
    assert demo.lockgate("follow", cwd=demo.clone).returncode == 0
    return version


def live(demo: Any) -> Any:
    return demo.facts("status")["environments"][PROD]["models"][MODEL]


@pytest.fixture
def second(demo: Any) -> int:
    return int(demo.taken[better])


def test_before_a_second_release_there_is_nothing_to_go_back_to(demo: Any) -> None:
    done = demo.lockgate("rollback", PROD, "--reason", "why not", profile=OPERATOR)
    assert done.returncode == 1
    assert "no release before it is left" in done.stderr


@pytest.mark.after(steps=(better,))
@pytest.mark.parametrize("profile", ["ada", "grace", "dev-operator"])
def test_nobody_but_the_operator_of_an_environment_takes_it_back(demo: Any, second: int, profile: str) -> None:
    done = demo.lockgate("rollback", PROD, "--reason", "mine", profile=profile)
    assert done.returncode == 1
    assert live(demo)["live"]["version"] == second


@pytest.mark.after(steps=(better,))
def test_the_operator_cannot_reach_the_deploy_function_past_its_url(
    demo: Any, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = client(demo, monkeypatch, "lambda", OPERATOR)
    with pytest.raises(functions.exceptions.ClientError, match="not authorized"):
        functions.invoke(FunctionName=names.deploy_function(PROD), Payload=b"{}")


@contextmanager
def tools_account_closed(demo: Any) -> Iterator[None]:
    """Nobody reaches the tools account: neither its registry nor its buckets, pipelines, functions or roles."""
    file = demo.session.settings.faults_file
    file.write_text(json.dumps([{"id": "closed", "kind": "account-closed", "account": CONFIGURATION.tools.account}]))
    try:
        assert demo.lockgate("status").returncode == 1
        yield
    finally:
        file.unlink()


def taken_back(demo: Any) -> Any:
    """A step: an operator takes production back while the tools account is down; what the command says."""
    demo.unschedule()
    with tools_account_closed(demo):
        facts = demo.facts("rollback", PROD, "--reason", "answers too slowly", profile=OPERATOR)
        restart_tasks(demo.client("ecs", PROD))
    deadline = time.monotonic() + SECONDS  # a task that runs is not yet one that its load balancer found healthy
    while answering(demo) != "1":
        assert time.monotonic() < deadline
    return facts


def collected(demo: Any) -> list[list[str]]:
    """A step: what production remembers is recorded; the records that the schedule's function made, and made again."""
    return [demo.collect(), demo.collect()]


def answering(demo: Any) -> str | None:
    """The version that answers in production, whatever the ledger knows of it; None when nothing answers."""
    done = demo.lockgate("replay", PROD, "--json")
    return json.loads(done.stdout)["version"] if done.stdout else None


def restart_tasks(ecs: Any) -> None:
    """Stop every task; the service starts others, from the environment's own copies."""
    cluster = names.cluster(PROD)
    before = ecs.list_tasks(cluster=cluster)["taskArns"]
    assert before
    for task in before:
        ecs.stop_task(cluster=cluster, task=task, reason="a test")
    deadline = time.monotonic() + SECONDS
    while True:
        (service,) = ecs.describe_services(cluster=cluster, services=[MODEL])["services"]
        now = set(ecs.list_tasks(cluster=cluster)["taskArns"])
        if service["runningCount"] == service["desiredCount"] and now and not now & set(before):
            return
        assert time.monotonic() < deadline, service
        time.sleep(0.2)


@pytest.mark.after(steps=(better,))
def test_an_operator_takes_production_back_while_the_tools_account_is_down(demo: Any, second: int) -> None:
    facts = demo.take(taken_back)
    assert (facts["from"], facts["to"]) == (str(second), "1")


@pytest.mark.after(steps=(better, taken_back))
def test_the_status_says_at_once_that_production_was_taken_back(demo: Any, second: int) -> None:
    assert answering(demo) == "1"
    found = live(demo)
    assert (found["live"]["version"], found["recorded"]["version"], found["differences"]) == (1, second, [])
    said, ended = found["on_its_way"]
    assert said == f"rolled back from version {second} to 1 by olga: answers too slowly; on its way to the ledger"
    assert ended.startswith("deployment of version 1 succeeded")


@pytest.mark.after(steps=(better, taken_back))
def test_the_ledger_learns_who_rolled_back_and_why(demo: Any, second: int) -> None:
    recorded, again = demo.take(collected)
    assert len(recorded) == 2, "who asked, and how it ended"
    assert again == []
    kinds = [record["kind"] for record in demo.facts("explain", str(second), "--env", PROD)["records"]]
    assert kinds == ["verdict", "approval-request", "approval", "deployment", "rollback"]
    found = live(demo)
    assert (found["live"]["version"], found["differences"]) == (1, [])
    (rollback,) = demo.facts("status")["rollbacks"]
    assert (rollback["from"], rollback["to"], rollback["person"]) == (str(second), "1", "olga")
    replayed = demo.facts("replay", PROD)
    assert (replayed["version"], replayed["equal"]) == ("1", 100)


@pytest.mark.after(steps=(better, taken_back, collected))
def test_the_version_that_was_rolled_back_from_is_refused_by_the_environment_itself(
    demo: Any, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = demo.facts("explain", str(second), "--env", PROD)["records"]
    (deployed,) = [record for record in records if record["kind"] == "deployment"]
    release = {name: value for name, value in deployed["release"].items() if name != "model_version_id"}
    rows = {"bucket": "unread", "key": "unread"}
    source = {**rows, "version_id": "unread", "replay": rows}
    event = {"action": "start", "model": MODEL, "release": release, "source": source, "token": "again-1"}
    functions = client(demo, monkeypatch, "lambda", PROD)
    answer = functions.invoke(FunctionName=names.deploy_function(PROD), Payload=json.dumps(event))
    assert "FunctionError" in answer
    assert "answers too slowly): it needs a new verdict" in json.load(answer["Payload"])["errorMessage"]


@pytest.mark.after(steps=(better, taken_back, collected))
def test_a_release_stack_that_was_lost_is_said_and_restored(
    demo: Any, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudformation = client(demo, monkeypatch, "cloudformation", PROD)
    stack = names.release_stack(PROD, MODEL)
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    done = demo.run("cdk", "deploy", f"{PROD}/*", "--require-approval", "never", "--no-notices", profile=PROD)
    assert done.returncode == 0, done.stderr
    (said,) = live(demo)["differences"]
    assert said.startswith("the ledger says version 1, the stack pins no release: it was lost")
    facts = demo.facts("rollback", PROD, "--restore", "--reason", "the stack was deleted", profile=OPERATOR)
    assert (facts["from"], facts["to"]) == (None, "1")
    assert live(demo)["differences"] == []
    assert demo.facts("replay", PROD)["equal"] == 100
