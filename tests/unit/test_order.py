"""Which files of tests run in one process, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.order import BEGIN_WITH, WITH, LoadFiles

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("file", "first"), WITH.items())
def test_what_goes_together_is_there_and_begins_with_the_file_that_makes_what_both_need(file: str, first: str) -> None:
    assert (ROOT / file).is_file()
    assert (ROOT / first).is_file()
    assert BEGIN_WITH.index(file) == BEGIN_WITH.index(first) + 1


def test_a_process_that_takes_a_file_takes_what_goes_with_it_and_nothing_else() -> None:
    scheduler = LoadFiles.__new__(LoadFiles)
    for file, first in WITH.items():
        assert {scheduler._split_scope(f"{each}::test_it") for each in (file, first)} == {first}
    assert scheduler._split_scope("tests/e2e/test_canary.py::test_it") == "tests/e2e/test_canary.py"
