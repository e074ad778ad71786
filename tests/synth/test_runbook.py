"""Whoever is called by an alarm finds it in docs/runbook.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()


def _said(synthesized: Any) -> tuple[set[str], set[str]]:
    """What alarms say, and what no data means to them."""
    alarms = [alarm["Properties"] for _, alarm in synthesized.resources("AWS::CloudWatch::Alarm")]
    said, _, silence = zip(*(alarm["AlarmDescription"].partition(" No data is ") for alarm in alarms), strict=True)
    return set(said), set(silence)


def test_the_runbook_says_what_to_do_about_every_alarm(synthesized: Any) -> None:
    said = _said(synthesized)[0]
    assert [text for text in sorted(said) if not text.endswith(" It failed.") and f"| {text} |" not in RUNBOOK] == []


def test_the_runbook_names_no_alarm_that_is_gone(synthesized: Any) -> None:
    said = _said(synthesized)[0]
    table = RUNBOOK.partition("| the alarm says |")[2].partition("\n\n")[0].splitlines()[2:]
    named = {row.split(" | ")[0].removeprefix("| ") for row in table if row.startswith("| ")}
    assert sorted(named - said) == ["(what a function does) It failed."]


def test_the_runbook_says_what_no_data_means_to_each_alarm(synthesized: Any) -> None:
    assert [text for text in sorted(_said(synthesized)[1]) if f"| {text.rstrip('.')} |" not in RUNBOOK] == []
