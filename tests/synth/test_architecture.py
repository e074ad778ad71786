"""docs/architecture.md shows the stacks and functions that there are, in its picture and in its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.architecture import PAGE, PICTURE, DrawnStack, draw, page, read, rows_of


@pytest.fixture(scope="module")
def stacks(assembly: Path) -> list[DrawnStack]:
    return read(assembly)


def test_the_tables_of_the_page_are_those_of_the_templates(stacks: list[DrawnStack]) -> None:
    text = PAGE.read_text()
    assert text == page(text, stacks), "run `make picture`"


def test_the_picture_is_that_of_the_templates(stacks: list[DrawnStack]) -> None:
    assert PICTURE.read_text() == draw(stacks), "run `make picture`"


def test_something_makes_each_function_run(stacks: list[DrawnStack]) -> None:
    assert [function.name for stack in stacks for function in stack.functions if not function.woken] == []


def test_no_line_of_the_picture_is_longer_than_its_box(stacks: list[DrawnStack]) -> None:
    rows = [row for stack in stacks for function in stack.functions for row in rows_of(function)]
    assert [row for row in rows if len(row[0]) + len(row[1]) > 60] == []
