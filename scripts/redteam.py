"""Runs the attacks of docs/security.md, each as its test, and says which are held.

`python -m scripts.redteam` prints a table, writes build/bench/redteam.json (a list of attack, who and held, those that
the page says are open among them), and ends with 1 when an attack went through that the page says is held.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "security.md"
RESULT = ROOT / "build" / "bench" / "redteam.json"
_CLOSED = re.compile(r"\| ([^|]+) \| ([^|]+) \| [^|]+ \| `(tests/[^`]+)` \|")
_OPEN = re.compile(r"\| ([^|]+) \| ([^|]+) \|")


class Attack(NamedTuple):
    """test: the one that tries it; "" for one that the page says is open."""

    who: str
    attack: str
    test: str


class _Seen:
    """A plugin of pytest: which tests ran, by name without parameters, and which of them failed."""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.partition("[")[0]
        if report.when == "call" and report.passed:
            self.ran.add(test)
        if report.failed:
            self.failed.add(test)


def attacks(page: str) -> list[Attack]:
    """Those of the page's first table, then those that it says are open."""
    closed, _, rest = page.partition("## What does not hold yet")
    still = rest.partition("\n## ")[0]
    found = [Attack(*row.groups()) for row in map(_CLOSED.fullmatch, closed.splitlines()) if row]
    rows = [row for row in map(_OPEN.fullmatch, still.splitlines()) if row and not row[1].startswith(("attacker", "-"))]
    return [*found, *(Attack(row[1], row[2], "") for row in rows)]


def main(arguments: Sequence[str] = ()) -> int:
    listed = attacks(PAGE.read_text())
    seen = _Seen()
    pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *{each.test for each in listed if each.test}], [seen])
    held = {each: each.test in seen.ran - seen.failed for each in listed}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    said = [{"attack": each.attack, "who": each.who, "held": held[each]} for each in listed]
    RESULT.write_text(json.dumps(said, indent=1) + "\n")
    for each in listed:
        word = "held" if held[each] else "WENT THROUGH" if each.test else "open"
        sys.stdout.write(f"{word:12}  {each.who:30}  {each.attack}\n")
    return int(any(each.test and not held[each] for each in listed))


if __name__ == "__main__":
    sys.exit(main())
