"""Days and moments as numbers, so that every range is one of numbers, and a row is numbers for an engine.

A day is the days since 1970-01-01. A moment is the microseconds since then in UTC; one without a time zone is taken to
be in UTC. A float64 holds each of them exactly from the year 1685 to 2255.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

KINDS = ("date", "datetime")
FIRST, LAST = date(1685, 1, 1), date(2254, 12, 31)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def code_of_moment(kind: str, value: object) -> float | None:
    """The number of a day or moment, or of its text in ISO 8601; None for what is neither.

    pandas has no days: its column of days has moments at midnight, so such a moment is a day too.
    """
    if isinstance(value, str):
        value = _read(kind, value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
    if kind == "date":
        return None if since % timedelta(days=1) else float(since // timedelta(days=1))
    return float(since // timedelta(microseconds=1))


def moment_as_text(kind: str, code: float) -> str:
    """ISO 8601: 2026-11-28, or 2026-11-28T12:00:00Z."""
    if kind == "date":
        return (_EPOCH + timedelta(days=code)).date().isoformat()
    return (_EPOCH + timedelta(microseconds=code)).isoformat().replace("+00:00", "Z")


def _read(kind: str, text: str) -> date | None:
    try:
        if kind == "date":
            return date.fromisoformat(text) if _DAY.fullmatch(text) else None
        return datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:  # no such day, as 2026-02-30
        return None
