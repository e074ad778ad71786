"""What the texts of a column are, and what is left a text because it can be read in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.profile.texts import Typed, typed
from lockgate.errors import DataContractError


def read(values: Sequence[str | None], decimal: str = "") -> Typed:
    return typed(pa.chunked_array([pa.array(values, pa.string())]), "rows.csv: column c", 2, decimal)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", "+3"], [1, -2, 3]),
        (["1.5", "2", "1e3"], [1.5, 2.0, 1000.0]),
        (["1,5", "22,75"], [1.5, 22.75]),
        (["1,234,567", "12"], [1234567, 12]),
        (["1.234,5", "7"], [1234.5, 7.0]),
        (["1 234", "1 234 567,5"], [1234.0, 1234567.5]),
        (["1", "NA", None, "?"], [1, None, None, None]),
        (["true", "False", "null"], [True, False, None]),
        (["007", "012"], ["007", "012"]),
        (["2026-11-28", " 2026-02-01 "], [date(2026, 11, 28), date(2026, 2, 1)]),
        (["28.11.2026", "1.2.2026"], [date(2026, 11, 28), date(2026, 2, 1)]),
        (["11/28/2026", "2/1/2026"], [date(2026, 11, 28), date(2026, 2, 1)]),
        (["2026-11-28T12:00:00Z"], [datetime(2026, 11, 28, 12, tzinfo=UTC)]),
        (["2026-02-30", "2026-02-01"], ["2026-02-30", "2026-02-01"]),
        ([None, None], [None, None]),
    ],
)
def test_a_reading_that_is_the_only_one_counts(values: list[str | None], expected: list[object]) -> None:
    assert read(values).column.to_pylist() == expected


@pytest.mark.parametrize("values", [["1,234", "5,678"], ["1,234", "17"], ["3/2/2026", "4/5/2026"]])
def test_what_can_be_read_in_two_ways_stays_a_text_and_says_so(values: list[str]) -> None:
    found = read(values)
    assert found.column.to_pylist() == values
    assert "can be read in two ways" in found.note


def test_the_mark_that_other_columns_show_decides() -> None:
    assert read(["1,234", "5,678"], ".").column.to_pylist() == [1234, 5678]
    assert read(["1,234", "5,678"], ",").column.to_pylist() == [1.234, 5.678]


def test_one_broken_value_among_numbers_is_named_with_its_row() -> None:
    values = [str(number) for number in range(100)]
    values[40] = "oops"
    with pytest.raises(
        DataContractError, match=r"rows\.csv: column c: row 42: found 'oops', expected a number as in 99"
    ):
        read(values)


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1))
def test_integers_come_back(numbers: list[int]) -> None:
    assert read([str(number) for number in numbers]).column.to_pylist() == numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back_to_the_last_bit(numbers: list[float]) -> None:
    assert read([repr(number) for number in numbers]).column.to_pylist() == numbers


@given(st.lists(st.one_of(st.none(), st.text()), min_size=1))
def test_no_text_breaks_the_reader_and_no_row_is_lost(values: list[str | None]) -> None:
    assert len(read(values).column) == len(values)
