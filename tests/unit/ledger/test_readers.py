"""What a record or a fact says is read by its type: nobody but the ledger knows how it is written down."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
READERS = ("bench", "cli", "demo", "lambdas", "lockgate")
# By a string key, by the name of a kind, or by a piece of an id.
UNTYPED = re.compile(r"(entry|fact|record|attempt)\.body(\[|\.get\()|\.kind (==|!=|in|not in) |\.id\.(split|partition)")
KINDS = "verdict|approval-request|approval|rejection|deployment|waiver|holdout|rollback|restore|break-glass"
COMPOSED = re.compile(rf"f[\"']({KINDS}|acknowledgement|retirement|snapshot-choice):\{{")


def lines_with(found: re.Pattern[str]) -> set[str]:
    """The files outside lockgate/ledger in which a line has it."""
    listed = subprocess.run(["git", "ls-files", *READERS], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [name for name in listed.stdout.splitlines() if name.endswith(".py") and "lockgate/ledger/" not in name]
    assert files
    return {name for name in files if found.search((ROOT / name).read_text())}


def test_nobody_reads_a_body_by_string_keys_or_asks_for_the_name_of_a_kind() -> None:
    assert lines_with(UNTYPED) == set()


def test_the_id_of_a_record_is_made_by_its_type() -> None:
    assert lines_with(COMPOSED) == set()
    listed = (ROOT / "lockgate" / "ledger").glob("*.py")
    assert {file.name for file in listed if COMPOSED.search(file.read_text())} == {"kinds.py"}
