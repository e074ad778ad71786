"""What the command line prints: harmless, fit for the terminal, coloured on one only."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import main, terminal
from lockgate.errors import RefusedError

ROOT = Path(__file__).parents[3]
# Clear the screen, set the title, an 8-bit control, turn the direction, a line of its own, rich's markup, a link.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\nprod  live\x08\x7f\u2028[red]x[/red][link=https://evil]y[/link]"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Terminal]:
    """Make standard output a terminal of so many columns."""

    def make(columns: int) -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        return screen

    return make


def controls(shown: str) -> set[str]:
    """The characters that do something to a terminal, but for the ends of our own lines."""
    return {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")} - {"\n"}


def everywhere(facts: Any) -> Any:
    """Facts whose every text is hostile."""
    if isinstance(facts, dict):
        return {key: everywhere(value) for key, value in facts.items()}
    if isinstance(facts, list):
        return [everywhere(value) for value in facts]
    return HOSTILE if isinstance(facts, str) else facts


ORDER = {"commit": "", "live_commit": "", "order": ""}
LIVE = {"version": 1, "commit": "", "since": "", "verdict_id": "", "break_glass": True}
STATUS = {
    "models": [{"model": "m", "owner": "o", "intended_use": "u", "tier": "t", "assurance": "budget"}],
    "environments": {
        "prod": {
            "models": {
                "m": {
                    "live": LIVE,
                    "pinned": None,
                    "recorded": LIVE,
                    "asked": True,
                    "on_its_way": [""],
                    "differences": [""],
                }
            }
        }
    },
    "gone": [{"model": "", "person": "", "reason": ""}],
    "bad_records": [{"model": "income", "sequence": 7, "why": ""}],
    "without": [],
    "break_glass": [
        {
            "model": "",
            "version": 1,
            "environment": "",
            "outcome": "",
            "time": "",
            "person": "",
            "reason": "",
            "record": "",
        }
    ],
    "rollbacks": [{"model": "", "environment": "", "from": 1, "to": 2, "at": "", "person": "", "reason": ""}],
    "refused": [{"model": "", "version": 1, "environment": "", "reasons": ["", ""]}],
    "failed_deployments": [{"model": "", "version": 1, "environment": "", "reason": "", "why_not": ""}],
    "waiting": [
        {
            **dict.fromkeys(("model", "environment", "since", "expires"), ""),
            "version": 1,
            "approvals": 2,
            "approved_by": [""],
            "measured": [""],
            **ORDER,
        }
    ],
    "infrastructure": [
        {
            **dict.fromkeys(("environment", "assembly", "author", "state", "run", "since", "reason"), ""),
            **ORDER,
            "approved_by": [""],
            "approvals": 1,
        }
    ],
    "training": [{"model": "", "run": "", "since": ""}],
    "builds": [{"project": "", "of": "", "build": "", "status": "", "reason": ""}],
    "images": [{"tag": "", "digest": "", "since": ""}],
    "failed": [{"model": "", "run": "", "execution": "", "reason": ""}],
}


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
def test_nothing_that_somebody_else_wrote_reaches_the_terminal_of_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr("cli.commands.status.collect", lambda context, models: everywhere(STATUS))
    assert main.main(words) == 0
    said = capsys.readouterr().out
    assert controls(said) == set()
    assert not any(shown.startswith("prod  live") for shown in said.splitlines())
    assert "[red]x[/red][link=https://evil]y[/link]" in said, "markup is shown as it was written"


def test_an_error_cannot_write_a_line_that_looks_like_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(arguments: object) -> int:
        raise RefusedError(HOSTILE)

    monkeypatch.setattr("cli.commands.status.run", refuse)
    assert main.main(["status"]) == 1
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("lockgate: ")
    assert all(other.startswith("  ") for other in others)
    assert controls("".join([first, *others])) == set()


def test_progress_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.progress(HOSTILE)
    said = capsys.readouterr().err
    assert controls(said) == set()
    assert said.count("\n") == 1


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_stays_one_line_of_as_many_characters(text: str) -> None:
    shown = terminal.harmless(text)
    assert len(shown) == len(text)
    assert controls(shown) - {"\u200c", "\u200d"} == set()
    assert "\n" not in shown
    assert all(a == b for a, b in zip(text, shown, strict=True) if unicodedata.category(a)[0] not in "CZ")


def test_an_ordinary_text_is_shown_as_it_is() -> None:
    text = "Zürich: precision 0.9 ≥ 0.85, 日本語 [census] 👩‍🔬"
    assert terminal.harmless(text) == text


def test_colour_is_only_for_a_terminal(
    monkeypatch: pytest.MonkeyPatch, on_a_terminal: Callable[[int], Terminal], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.show(terminal.outcome("passed"))
    assert capsys.readouterr().out == "passed\n"
    screen = on_a_terminal(80)
    terminal.show(terminal.outcome("passed"))
    assert screen.getvalue() == "\x1b[32mpassed\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    screen = on_a_terminal(80)
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.show(terminal.outcome("passed"))
    assert "32m" not in screen.getvalue()


def test_lines_and_tables_fit_the_terminal(on_a_terminal: Callable[[int], Terminal]) -> None:
    screen = on_a_terminal(60)
    terminal.show("  reason: " + "a word " * 40)
    rows = [("features", ", ".join(f"column{i}" for i in range(100))), ("commit", "c" * 40)]
    terminal.show(*terminal.table(rows, ("WHAT", "VALUE")))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 60 + len("\x1b[1m\x1b[0m") * 2
    assert lines[1].startswith("    a word")


def test_no_end_of_a_value_is_cut_off(on_a_terminal: Callable[[int], Terminal]) -> None:
    screen = on_a_terminal(40)
    digest = "".join(f"{i:02x}" for i in range(32))
    terminal.show(*terminal.table([("digest", digest)]))
    terminal.show(*terminal.pairs([("sha256", digest), ("features", "A, B, " * 20)]))
    folded, name, rest = screen.getvalue().partition("  sha256  ")
    assert digest in re.sub(r"\s", "", folded)
    first, *others = (name + rest).splitlines()
    assert first.split() == ["sha256", digest]
    assert max(map(len, others)) <= 40


def test_the_table_of_status_fits_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, on_a_terminal: Callable[[int], Terminal]
) -> None:
    live = {
        "version": 10,
        "commit": "c" * 40,
        "since": "2026-11-28T21:33:49.000Z",
        "verdict_id": "employment/12",
        "break_glass": False,
    }
    entry = {"live": live, "pinned": None, "recorded": live, "asked": True, "on_its_way": [], "differences": []}
    facts = {**{name: [] for name in STATUS}, "environments": {"staging": {"models": {"employment": entry}}}}
    monkeypatch.setattr("cli.commands.status.collect", lambda context, models: facts)
    screen = on_a_terminal(80)
    assert main.main(["status"]) == 0
    (row,) = [said for said in screen.getvalue().splitlines() if said.startswith("staging")]
    assert row.split() == ["staging", "employment", "version", "10", "c" * 12, "2026-11-28T21:33Z", "employment/12"]


def test_a_command_is_not_broken_so_that_it_can_be_copied(on_a_terminal: Callable[[int], Terminal]) -> None:
    screen = on_a_terminal(40)
    approve = f'  lockgate approve {"a" * 64} --env prod --reason "..."'
    terminal.show(terminal.whole(approve))
    assert screen.getvalue() == approve + "\n"


def test_what_is_no_terminal_gets_whole_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    terminal.show("word " * 400)
    terminal.show(*terminal.table([("A", "x" * 300), ("longer", "y")]))
    assert capsys.readouterr().out.splitlines()[1:] == [f"A       {'x' * 300}", "longer  y"]


def test_tables_align_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(*terminal.table([("longer", "x")], ("A", "B")))
    assert capsys.readouterr().out == "A       B\nlonger  x\n"


def test_nothing_else_of_the_command_line_writes_to_the_terminal() -> None:
    """ruff refuses print; these are the other ways."""
    ways = re.compile(r"sys\.(stdout|stderr)\.write|Console\(|os\.write")
    files = [file for file in (ROOT / "cli").rglob("*.py") if file.name != "terminal.py"]
    assert len(files) > 20
    assert [str(file) for file in files if ways.search(file.read_text())] == []
