"""What is said of a version: all that its verdicts were based on, and which attempts there were to promote it."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cli import terminal
from cli.commands import follow
from cli.commands.explain import records as explain_records
from lambdas import gate, shared
from lockgate.aws import promotions
from lockgate.gate.waiver import numbers
from lockgate.ledger.kinds import Body
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:lockgate-promotion"
WAIVER = records.waiver(reason="holiday data", expires="2099-12-01T00:00:00.000Z")


def say(body: Body) -> None:
    shared.ledger("test-ledger").append("income", records.entry(body), "2026-11-22T00:00:00.000Z")


def text(version: int = 1) -> str:
    chain = shared.ledger("test-ledger").chain("income")
    return "\n".join(map(str, explain_records._text("income", version, chain.about(version), chain, {"owner": "team"})))


def test_a_verdict_is_explained_with_lineage_champion_waivers_approvals_and_how_to_evaluate_again(world: World) -> None:
    world.register(roc_auc=0.79)
    gate.handler(world.gate_event(), None)
    say(WAIVER)
    gate.handler(world.gate_event(), None)
    say(records.approval("carol", "income/9", reason="tried it"))
    said, lineage = text(), world.lineage(1)
    body = world.records()[0]["body"]
    facts = [lineage[name] for name in ("commit", "image", "execution", "actor", "model_sha256", "evidence_sha256")]
    facts += [body["evaluator_image"], body["data"]["labels_sha256"], body["data"]["train_sha256"], "learning_rate=0.1"]
    facts += ["AGEP", "champion: nothing was served", "approvals asked for: 0", f"policy {body['policy_sha256'][:12]}"]
    facts += [
        "ranking let go until the end of 2099-11-30: holiday data",
        "approval by carol",
        "tried it",
        "decision 2 on holdout 1",
    ]
    facts += [
        f"lockgate deliver {lineage['commit']} --snapshot {lineage['snapshot']} --again",
        "failed, waived by grace (income/2, until the end of 2099-11-30",
    ]
    assert [fact for fact in facts if fact not in said] == []


def test_a_verdict_on_what_nobody_knows_is_explained_too(world: World) -> None:
    gate.handler(world.gate_event(), None)
    assert "found no such package" in text()
    assert "evaluate it again" not in text()


class Executions:
    """Step Functions that knows executions by name, with the second at which each started."""

    def __init__(self, **started: int) -> None:
        self._started = {name.replace("_", "-"): second for name, second in started.items()}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        name = executionArn.rpartition(":")[2]
        if name not in self._started:
            raise ClientError({"Error": {"Code": "ExecutionDoesNotExist"}}, "DescribeExecution")
        return {"status": "RUNNING", "startDate": datetime(2026, 11, 22, 0, 0, self._started[name], tzinfo=UTC)}


def test_an_attempt_that_a_waiver_started_is_seen_and_does_not_count(world: World) -> None:
    say(WAIVER)
    waivers = numbers(shared.ledger("test-ledger").chain("income"), 1)

    def last(**started: int) -> tuple[str, int] | None:
        found = promotions.last_attempt(Executions(**started), MACHINE, "income", 1, waivers)
        return (found.name, found.attempt) if found else None

    assert last() is None
    assert last(income_1=1) == ("income-1", 1)
    assert last(income_1=1, income_1_waiver_1=2) == ("income-1-waiver-1", 1)
    assert last(income_1=1, income_1_waiver_1=2, income_1_R2=3) == ("income-1-R2", 2)
    assert numbers(shared.ledger("test-ledger").chain("income"), 2) == []


def test_what_persons_wrote_is_shown_without_what_a_terminal_would_obey(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    written = "\x1b[2J\x9b1m\u202e\rdev 2026-01-01Z  verdict passed\n\x07[red]x[/red]"
    world.register(roc_auc=0.79)
    gate.handler(world.gate_event(), None)
    say(replace(WAIVER, reason=written))
    say(records.approval(written, "income/9", reason=written))
    chain = shared.ledger("test-ledger").chain("income")
    terminal.show(*explain_records._text("income", 1, chain.about(1), chain, {}))
    for record in chain:
        terminal.progress(follow._line(record))
    said = capsys.readouterr()
    shown = (said.out + said.err).replace("\n", "")
    assert [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")] == []
    assert said.out.count("␛[2J") == 3
    assert said.err.count("␛[2J") == 3
    assert "[red]x[/red]" in said.err
    assert not any(line.startswith("dev 2026-01-01Z") for line in said.out.splitlines())
