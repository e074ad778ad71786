"""What each column is: a feature with its type, range or categories, or a column that is none, with the reason.

Every judgement here is by the values and the name alone, and a person can overrule each: model.toml is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from math import ceil, floor, log10

import pyarrow as pa
import pyarrow.compute as pc

from lockgate.configuration.model import Feature
from lockgate.configuration.moments import FIRST, LAST, code_of_moment, moment_as_text

MOST_CATEGORIES = 60
ROWS_A_CATEGORY = 5  # on average; with fewer, a text tells rows apart and no kinds of them
RARE = 5  # rows
ROOM = 0.25  # of the width that was seen, on each side
YEARS_AHEAD = 5
CODES = re.compile(r"(.*[_ .-])?(code|type|class|kind|group|category|zone|status)", re.IGNORECASE)
INDEX = re.compile(r"(unnamed.*|index|level_0|__index_level_0__|column_1|row|row_?n(r|o|umber))", re.IGNORECASE)
IDENTIFIER = re.compile(r"(.*[_ .-])?(id|uuid|guid|key)|.*[a-z](Id|ID)|(row|record)_?(no|nr|number)", re.IGNORECASE)
ENTITY = re.compile(
    r"(customer|client|user|patient|person|member|account|household|company|store|shop|device|machine|sensor|vehicle|"
    r"driver|student|subject|session|household|employee|supplier|merchant|card|family|school|plant)"
    r"([_ .-]?(id|no|nr|number|code|key|name|ref))?|.*[_ .-]id|.*[a-z]I[dD]",
    re.IGNORECASE,
)
TIME = re.compile(
    r"(.*[_ .-])?(date|day|time|timestamp|datetime|month|week|created|updated|opened|ts|at|on|period)([_ .-].*)?|"
    r".*[a-z](Date|Time|At|On)",
    re.IGNORECASE,
)
BORN = re.compile(r".*(birth|born|dob).*", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnProfile:
    """One column. feature: how model.toml declares it, None where it is no feature.

    seen: the values that were there, in words. out: why it is no feature, "" where it is. note: what else to know.
    """

    name: str
    rows: int
    nulls: int
    seen: str
    feature: Feature | None = None
    out: str = ""
    note: str = ""


def profiled(name: str, column: pa.ChunkedArray, codes: Collection[str] = ()) -> ColumnProfile:
    """codes: columns of integers that a person called categories."""
    rows, nulls = len(column), column.null_count
    different = distinct(column)

    def left_out(why: str, seen: str = "") -> ColumnProfile:
        return ColumnProfile(name, rows, nulls, seen, out=why)

    if nulls == rows:
        return left_out("it has no value in any row")
    if different == 1 and not nulls:
        return left_out(f"it has one value in all rows: {_short(column[0].as_py())}")
    share = min(1.0, ceil(40 * nulls / rows) / 20) if nulls else 0.0  # twice what was seen, in steps of 0.05
    kind, types = column.type, pa.types
    if types.is_boolean(kind):
        return ColumnProfile(name, rows, nulls, "true, false", Feature(name, "boolean", null_share=share))
    if types.is_string(kind):
        return _text(name, column, different, share)
    if types.is_integer(kind) and (name in codes or _is_code(name, column, different)):
        return _category(name, column.cast(pa.string()), share, sorted(column.unique().drop_null().to_pylist()))
    if types.is_date(kind) or types.is_timestamp(kind):
        return _moments(name, column, share)
    lowest, highest = pc.min_max(column).as_py().values()
    if types.is_floating(kind) and not pc.all(pc.is_finite(column)).as_py():
        count = pc.sum(pc.is_inf(column)).as_py()
        return left_out(f"{count} rows are infinite, which no range holds: make them null", "infinite")
    whole = types.is_integer(kind) or (nulls > 0 and _is_whole(column))
    low, high = with_room(lowest, highest, whole)
    seen = f"{_short(lowest)} to {_short(highest)}"
    return ColumnProfile(name, rows, nulls, seen, Feature(name, "integer" if whole else "number", (), low, high, share))


def distinct(column: pa.ChunkedArray) -> int:
    """How many different values there are, null not among them."""
    return 0 if pa.types.is_null(column.type) else int(pc.count_distinct(column).as_py())


def with_room(lowest: float, highest: float, whole: bool) -> tuple[float, float]:
    """A range with a quarter of the width more on each side, round, and not across zero where no value was."""
    room = ROOM * (highest - lowest) or max(1.0, abs(highest))
    step = 10 ** (floor(log10(room)) - 1)
    low, high = floor((lowest - room) / step) * step, ceil((highest + room) / step) * step
    low = 0.0 if lowest >= 0 > low else low
    high = 0.0 if lowest < 0 and highest <= 0 < high else high
    if whole:
        return float(floor(low)), float(ceil(high))
    return min(lowest, float(f"{low:.12g}")), max(highest, float(f"{high:.12g}"))


def _is_whole(column: pa.ChunkedArray) -> bool:
    """pandas makes floats of whole numbers where some are missing."""
    return bool(pc.all(pc.equal(column, pc.floor(column))).as_py()) and pc.max(pc.abs(column)).as_py() < 2**53


def _is_code(name: str, column: pa.ChunkedArray, different: int) -> bool:
    """Whether integers name kinds: a name that says so, or two values that are not 0 and 1."""
    if different > MOST_CATEGORIES or different * ROWS_A_CATEGORY > len(column):
        return False
    return bool(CODES.fullmatch(name)) or (different == 2 and sorted(column.unique().drop_null().to_pylist()) != [0, 1])


def _text(name: str, column: pa.ChunkedArray, different: int, share: float) -> ColumnProfile:
    rows, nulls = len(column), column.null_count
    if different > MOST_CATEGORIES or different * ROWS_A_CATEGORY > rows - nulls:
        why = f"{different} different texts in {rows - nulls} rows are no categories"
        return ColumnProfile(name, rows, nulls, _some(column.unique().drop_null()[:3].to_pylist()), out=why)
    return _category(name, column, share, sorted(column.unique().drop_null().to_pylist()))


def _category(name: str, column: pa.ChunkedArray, share: float, values: list[str] | list[int]) -> ColumnProfile:
    counts = {each["values"]: each["counts"] for each in pc.value_counts(column.drop_null()).to_pylist()}
    texts = tuple(map(str, values))
    rare = [text for text in texts if counts[text] < RARE]
    note = f"{len(rare)} of {len(texts)} categories have fewer than {RARE} rows: {_some(rare)}" if rare else ""
    feature = Feature(name, "category", texts, null_share=share)
    return ColumnProfile(name, len(column), column.null_count, _some(values), feature, note=note)


def _moments(name: str, column: pa.ChunkedArray, share: float) -> ColumnProfile:
    """Days and moments go on: the range reaches some years beyond the last."""
    kind = "date" if pa.types.is_date(column.type) else "datetime"
    rows, nulls = len(column), column.null_count
    first, last = pc.min_max(column).as_py().values()
    if first.year < FIRST.year or last.year + YEARS_AHEAD > LAST.year:
        why = f"{first} to {last} reaches beyond {FIRST.year} to {LAST.year}"
        return ColumnProfile(name, rows, nulls, f"{first} to {last}", out=why)
    ends = first.replace(month=1, day=1), last.replace(year=last.year + YEARS_AHEAD, month=12, day=31)
    codes = [code_of_moment(kind, end) or 0.0 for end in ends]
    seen = [moment_as_text(kind, code_of_moment(kind, each) or 0.0)[:16] for each in (first, last)]
    return ColumnProfile(name, rows, nulls, " to ".join(seen), Feature(name, kind, (), codes[0], codes[1], share))


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:30]


def _some(values: list[str] | list[int]) -> str:
    return ", ".join(_short(value) for value in values[:5]) + (f", … ({len(values)})" if len(values) > 5 else "")
