"""Whoever is called by an alarm finds it in docs/runbook.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()


def test_the_runbook_says_what_to_do_about_every_alarm(synthesized: Any) -> None:
    said = {alarm["Properties"]["AlarmDescription"] for _, alarm in synthesized.resources("AWS::CloudWatch::Alarm")}
    assert [text for text in sorted(said) if not text.endswith(" It failed.") and f"| {text} |" not in RUNBOOK] == []


def test_the_runbook_names_no_alarm_that_is_gone(synthesized: Any) -> None:
    said = {alarm["Properties"]["AlarmDescription"] for _, alarm in synthesized.resources("AWS::CloudWatch::Alarm")}
    table = RUNBOOK.partition("| the alarm says |")[2].splitlines()[2:]
    named = {row.split(" | ")[0].removeprefix("| ") for row in table if row.startswith("| ")}
    assert sorted(named - said) == ["(what a function does) It failed."]
