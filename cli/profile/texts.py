"""What the texts of a column are: numbers, days, moments, truth values, or texts. Only one reading counts as known.

`1,234` alone is no number: it can be 1234 or 1.234. Beside `12,5` it is the second, beside `1,234,567` the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lockgate.errors import DataContractError

NOTHING = ("na", "n/a", "nan", "null", "none", "-", "?", ".", "#n/a")  # between numbers or days, these mean null
PLAIN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WHOLE = r"^[+-]?[0-9]{1,18}$"
PADDED = r"^[+-]?0[0-9]"  # a code, such as a postcode: as a number it would lose its zeros
_SPACE = "[ '\u2019\u00a0\u202f]"  # between thousands: a space, one that breaks no line, an apostrophe
# Separators of thousands and of decimals, and how numbers look with them.
STYLES = (
    (",", ".", r"^[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]+)?$"),
    (".", ",", r"^[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?$"),
    (_SPACE, ".", rf"^[+-]?([0-9]+|[0-9]{{1,3}}({_SPACE}[0-9]{{3}})+)(\.[0-9]+)?$"),
    (_SPACE, ",", rf"^[+-]?([0-9]+|[0-9]{{1,3}}({_SPACE}[0-9]{{3}})+)(,[0-9]+)?$"),
)
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
ISO_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?")
OTHER_DAY = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})")
MOSTLY = 0.95  # of the rows: where so many are numbers, another value is a mistake
ENOUGH = 20  # different numbers


@dataclass(frozen=True)
class Typed:
    """A column in its type, and what the reader should know of how it was read; "" where nothing.

    decimal: the mark before decimals that the values show. doubtful: whether its numbers can be read in two ways.
    """

    column: pa.ChunkedArray
    note: str = ""
    decimal: str = ""
    doubtful: bool = False


def typed(column: pa.ChunkedArray, where: str, first: int, decimal: str = "") -> Typed:
    """first: the number of the first row in messages. decimal: the mark before decimals, where other columns show it.

    Raises DataContractError for a broken value among numbers.
    """
    encoded = pc.utf8_trim_whitespace(column).combine_chunks().dictionary_encode()
    values = encoded.dictionary
    known = pc.invert(pc.is_in(pc.utf8_lower(values), pa.array(["", *NOTHING])))
    told = values.filter(known)
    if not len(told):
        nothing = pa.chunked_array([pa.nulls(len(column))])
        return Typed(
            nothing, f"{len(column) - column.null_count} values such as NA were made null" if len(values) else ""
        )
    for found in (_truths(told), _numbers(told, decimal), _moments(told)):
        if found is not None:
            return _spread(found, encoded, known)
    _refuse_few_broken(encoded, told, where, first)
    said, doubtful = _ambiguity(told)
    return Typed(pa.chunked_array([encoded.cast(pa.string())]), said, doubtful=doubtful)


def _spread(found: Typed, encoded: pa.DictionaryArray, known: pa.Array) -> Typed:
    """Values of the dictionary in their rows; what means nothing is null."""
    places = pc.if_else(known, pc.subtract(pc.cumulative_sum(known.cast(pa.int64())), 1), pa.scalar(None, pa.int64()))
    column = found.column.take(places.take(encoded.indices))
    words = encoded.dictionary.filter(pc.invert(known)).to_pylist()
    said = [found.note] if found.note else []
    if words:
        said.append(f"{', '.join(map(repr, words))} was made null")
    return Typed(pa.chunked_array([column]), "; ".join(said), found.decimal)


def _truths(told: pa.Array) -> Typed | None:
    lower = pc.utf8_lower(told)
    if not set(lower.to_pylist() if len(told) <= 6 else [""]) <= {"true", "false"}:
        return None
    return Typed(pc.equal(lower, "true"))


def _all(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _numbers(told: pa.Array, decimal: str) -> Typed | None:
    if pc.any(pc.match_substring_regex(told, PADDED)).as_py():
        return None
    if _all(told, PLAIN):
        marked = pc.any(pc.match_substring(told, ".")).as_py()
        return Typed(_as_numbers(told), decimal="." if marked else "")
    fitting = [style for style in STYLES if _all(told, style[2]) and decimal in ("", style[1])]
    if len({tuple(_plain(told, style).to_pylist()) for style in fitting}) != 1:
        return None
    thousands, mark, _ = fitting[0]
    named = "spaces or apostrophes" if thousands == _SPACE else repr(thousands)
    note = f"numbers were read with {named} between thousands and {mark!r} before decimals"
    shows = pc.any(pc.match_substring(told, mark)).as_py()
    return Typed(_as_numbers(_plain(told, fitting[0])), note, mark if shows else "")


def _plain(told: pa.Array, style: tuple[str, str, str]) -> pa.Array:
    thousands, decimal, _ = style
    bare = pc.replace_substring_regex(told, re.escape(thousands) if len(thousands) == 1 else thousands, "")
    return pc.replace_substring(bare, decimal, ".") if decimal == "," else bare


def _as_numbers(texts: pa.Array) -> pa.Array:
    bare = pc.utf8_ltrim(texts, "+")
    return bare.cast(pa.int64() if _all(bare, WHOLE) else pa.float64())


def _ambiguity(told: pa.Array) -> tuple[str, bool]:
    """Why texts that look like numbers or days are none, and whether they look like numbers."""
    marked = [text for text in told.to_pylist() if not text.isdigit()]
    if marked and len([style for style in STYLES if _all(told, style[2])]) > 1:
        return f"{marked[0]!r} can be read in two ways, so it is a text: write decimals with a point", True
    matches = [OTHER_DAY.fullmatch(text) for text in marked]
    if marked and all(match and len(match[4]) == 4 for match in matches):
        return f"{marked[0]!r} can be read in two ways, so it is a text: write days as 2026-11-28", False
    return "", False


def _moments(told: pa.Array) -> Typed | None:
    """Days or moments; None where any value is neither, or where month and day could be swapped."""
    first = told[0].as_py()
    if ISO_DAY.fullmatch(first):
        return _made(told, pa.date32(), lambda text: date.fromisoformat(text) if ISO_DAY.fullmatch(text) else None)
    if ISO_MOMENT.fullmatch(first):
        return _made(told, None, lambda text: datetime.fromisoformat(text) if ISO_MOMENT.fullmatch(text) else None)
    return _other_days(told) if OTHER_DAY.fullmatch(first) else None


def _made(told: pa.Array, kind: pa.DataType | None, read: Any) -> Typed | None:
    try:
        found = [read(text) for text in told.to_pylist()]
    except ValueError:  # no such day, as 2026-02-30
        return None
    if None in found:
        return None
    if kind is None:
        zoned = any(moment.tzinfo for moment in found)
        found = [moment if moment.tzinfo or not zoned else moment.replace(tzinfo=UTC) for moment in found]
        kind = pa.timestamp("us", "UTC" if zoned else None)
    return Typed(pa.array(found, kind))


def _other_days(told: pa.Array) -> Typed | None:
    parts = [OTHER_DAY.fullmatch(text) for text in told.to_pylist()]
    if any(part is None for part in parts):
        return None
    numbers = [(int(part[1]), int(part[3]), int(part[4]), part[2]) for part in parts if part]
    if all(first > 31 for first, _, _, _ in numbers):
        order, named = (0, 1, 2), "year, month, day"
    elif not all(last > 31 for _, _, last, _ in numbers):
        return None
    elif any(first > 12 for first, _, _, _ in numbers) or all(mark == "." for _, _, _, mark in numbers):
        order, named = (2, 1, 0), "day, month, year"
    elif any(second > 12 for _, second, _, _ in numbers):
        order, named = (2, 0, 1), "month, day, year"
    else:
        return None
    try:
        days = [date(*[int(number[place]) for place in order]) for number in numbers]
    except ValueError:
        return None
    return Typed(pa.array(days, pa.date32()), f"days were read as {named}")


def _refuse_few_broken(encoded: pa.DictionaryArray, told: pa.Array, where: str, first: int) -> None:
    """A column of numbers or days with a few other values is a mistake of who wrote it, and no column of texts."""
    for what, pattern in (("a number", PLAIN), ("a day as 2026-11-28", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")):
        fits = pc.match_substring_regex(encoded.dictionary, pattern)
        rows = pc.fill_null(fits.take(encoded.indices), True)
        good = pc.sum(rows).as_py() - encoded.indices.null_count
        count = len(encoded) - encoded.indices.null_count
        if pc.sum(fits).as_py() >= ENOUGH and good < count and good >= MOSTLY * count:
            nothing = pc.is_in(pc.utf8_lower(encoded.dictionary), pa.array([*NOTHING])).take(encoded.indices)
            broken = pc.and_(pc.invert(rows), pc.invert(pc.fill_null(nothing, False)))
            place = pc.index(broken, True).as_py()
            if place < 0:
                continue
            value = encoded.dictionary[encoded.indices[place].as_py()].as_py()
            raise DataContractError(
                f"{where}: row {first + place}: found {value!r:.60}, expected {what} as in {good} of {count} rows: "
                f"mend it, or leave the column out with --leave-out"
            )
