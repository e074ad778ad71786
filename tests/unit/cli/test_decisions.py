"""`approve` and `reject`: what a person may decide about, and what is said of anything else."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from cli import main
from cli.commands import approve
from lockgate.ledger.calls import Acknowledge, Decide, DecideOnStacks
from lockgate.schema import Document

ASSEMBLY = "a1" * 32


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Document]]:
    """What was said, by the path it was said on."""
    found: list[tuple[str, Document]] = []

    def say(context: object, path: str, call: Document, *, json: bool) -> int:
        found.append((path, call))
        return 0

    monkeypatch.setattr(approve, "say", say)
    return found


def test_a_version_an_assembly_and_a_break_glass_can_be_approved(asked: list[tuple[str, Document]]) -> None:
    assert main.main(["approve", "3", "--env", "prod"]) == 0
    assert main.main(["approve", ASSEMBLY, "--env", "tools"]) == 0
    assert main.main(["approve", "employment/7", "--reason", "looked at it"]) == 0
    model, looked = "employment", "looked at it"
    assert asked == [
        ("approval", Decide(model=model, version="3", environment="prod", decision="approve", reason="")),
        ("stacks", DecideOnStacks(ask="approve", environment="tools", assembly=ASSEMBLY, reason="")),
        ("acknowledgement", Acknowledge(model=model, sequence=7, reason=looked)),
    ]


@pytest.mark.parametrize(
    "text", ["abc", "", "-1", "1.5", "employment/", "/7", "employment/x", "٣", ASSEMBLY[:-1] + "g"]
)
def test_anything_else_is_named_with_what_was_expected(text: str) -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"^found .*, expected a version \(3\), an assembly .*, or|or a"
    ):
        approve.decided(text)


def test_wrong_usage_says_what_was_found_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["approve", "abc", "--env", "prod"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "found 'abc', expected a version" in said
    assert "`lockgate status` shows what waits" in said
    assert "_version" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["approve", "3"], "found no --env"),
        (["reject", "3", "--reason", "no"], "found no --env"),
        (["approve", "employment/7"], "found no --reason"),
        (["approve", "employment/7", "--reason", "seen", "--env", "prod"], "says both"),
        (["reject", "employment/7", "--reason", "no"], "a break-glass has happened"),
    ],
)
def test_a_decision_that_lacks_something_is_not_sent(
    asked: list[tuple[str, dict[str, Any]]], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main.main(words) == 1
    assert said in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "1", "--measure", "demographic_parity"], "found --measure, expected only with --fairness"),
        (["explain", "1", "--fairness", "--env", "prod"], "found --env beside"),
        (["bootstrap", "prod", "--evaluator"], "expected tools"),
        (["bootstrap", "tools", "--pin"], "found --pin, expected only with --evaluator"),
    ],
)
def test_an_option_that_would_be_ignored_is_an_error(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main.main(words) == 1
    assert said in capsys.readouterr().err


def test_there_are_at_most_thirty_commands() -> None:
    assert len(main.COMMANDS) <= 30
