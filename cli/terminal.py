"""How things are shown: colour only on a terminal, errors in one line, facts as JSON when asked."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any, Literal

Colour = Literal["green", "red", "yellow", "bold", "dim"]
_CODES: dict[Colour, str] = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}


def paint(text: str, colour: Colour) -> str:
    """Text in a colour when standard output is a terminal that wants it (https://no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{_CODES[colour]}m{text}\033[0m"


def outcome(text: str) -> str:
    """An outcome of a gate, a step or a deployment in its colour."""
    good, bad = {"passed", "live", "Succeeded", "succeeded"}, {"failed", "error", "refused", "Failed", "rejected"}
    return paint(text, "green" if text in good else "red" if text in bad else "yellow")


def utc_now() -> str:
    """The one clock of the command line: UTC, ISO 8601, as the ledger's records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show_json(facts: Any) -> None:
    print(json.dumps(facts, indent=2))


def progress(text: str) -> None:
    """One line about work that goes on; on standard error, so that --json stays clean."""
    print(text, file=sys.stderr, flush=True)


def error_line(text: str) -> int:
    print(f"lockgate: {text}", file=sys.stderr)
    return 1


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns aligned by their widest cell; the last one is left as it is."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
