from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.configuration.moments import FIRST, LAST, code_of_moment, moment_as_text


@given(st.dates(FIRST, LAST))
def test_a_day_is_its_number_and_its_text(day: date) -> None:
    code = code_of_moment("date", day)
    assert code == code_of_moment("date", day.isoformat()) == code_of_moment("date", datetime(*day.timetuple()[:3]))
    assert code is not None and moment_as_text("date", code) == day.isoformat()


@given(st.datetimes(datetime(1685, 1, 1), datetime(2254, 12, 31)))
def test_a_moment_without_a_zone_is_in_utc_and_exact_to_the_microsecond(moment: datetime) -> None:
    code = code_of_moment("datetime", moment)
    assert code is not None and code == code_of_moment("datetime", moment.replace(tzinfo=UTC).isoformat())
    assert code == int(code) and datetime.fromisoformat(moment_as_text("datetime", code)) == moment.replace(tzinfo=UTC)


def test_an_offset_is_taken_off() -> None:
    there = datetime(2026, 11, 28, 14, tzinfo=timezone(timedelta(hours=2)))
    assert code_of_moment("datetime", there) == code_of_moment("datetime", "2026-11-28T12:00Z")


@pytest.mark.parametrize(
    "text", ["2026-02-30", "20260228", "2026-W01-1", "2026-1-2", "yesterday", "", "2026-01-01T00:00"]
)
def test_what_is_no_iso_day_is_none(text: str) -> None:
    assert code_of_moment("date", text) is None


@pytest.mark.parametrize("found", ["2026-01-01", "2026-01-01 10:00", "2026-01-01T25:00", 5, 5.0, True, None, ["x"]])
def test_what_is_no_iso_moment_is_none(found: object) -> None:
    assert code_of_moment("datetime", found) is None


def test_a_moment_within_a_day_is_no_day() -> None:
    assert code_of_moment("date", datetime(2026, 1, 1, 0, 1)) is None
