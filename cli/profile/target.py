"""Which task a column asks for, and why: two classes, several, or a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cli.profile.columns import with_room
from lockgate.errors import RefusedError
from lockgate.tasks.classes import MOST_CLASSES
from lockgate.tasks.target import BINARY, Class, Target

FEW_INTEGERS = 20
TAIL_OF_MEAN, TAIL_OF_MOST = 1.25, 5.0  # times the median
ROWS_A_CLASS = 10  # on average; with fewer, integers are numbers
# Of two classes, one that is meant, whatever its share.
POSITIVE = (
    *(
        "1",
        "yes",
        "y",
        "ja",
        "oui",
        "si",
        "sí",
        "sim",
        "true",
        "t",
        "positive",
        "pos",
        "bad",
        "fraud",
        "churn",
        "churned",
        "default",
        "defaulted",
    ),
    *("spam", "malignant", "sick", "disease", "survived", "click", "clicked", "failure", "fail", "failed"),
)
NEGATIVE = (
    *(
        "0",
        "no",
        "n",
        "nein",
        "non",
        "não",
        "nej",
        "false",
        "f",
        "negative",
        "neg",
        "good",
        "ham",
        "benign",
        "healthy",
        "none",
        "ok",
        "retained",
    ),
)


@dataclass(frozen=True)
class TargetProfile:
    """The target, its column without nulls in the type that the classes have, and why it is so."""

    target: Target
    column: pa.ChunkedArray
    why: str


def inferred(name: str, column: pa.ChunkedArray, task: str | None = None, positive: str | None = None) -> TargetProfile:
    """column: without nulls. task, positive: what a person said. Raises RefusedError."""
    types, kind = pa.types, column.type
    numeric = types.is_integer(kind) or types.is_floating(kind)
    if not (numeric or types.is_string(kind) or types.is_boolean(kind)):
        raise RefusedError(f"target {name}: found {kind}, expected classes or numbers")
    if types.is_floating(kind) and not pc.all(pc.is_finite(column)).as_py():
        raise RefusedError(f"target {name}: found an infinite number, expected finite ones")
    if types.is_floating(kind) and task != "regression" and pc.all(pc.equal(column, pc.floor(column))).as_py():
        column = column.cast(pa.int64())
    values = sorted(column.unique().to_pylist())
    if len(values) < 2:
        raise RefusedError(f"target {name}: found one value in all rows ({values[0]!r}), expected two or more")
    chosen, why = (task, "as you said") if task else _task(column, len(values))
    if chosen == "regression":
        return _regression(name, column, numeric, why)
    if types.is_floating(column.type):
        raise RefusedError(f"target {name}: found numbers with decimals, expected classes: --task regression")
    if (chosen == BINARY) != (len(values) == 2):
        other = BINARY if len(values) == 2 else "multiclass"
        raise RefusedError(f"target {name}: found {len(values)} classes, which is no {chosen} task: --task {other}")
    if len(values) > MOST_CLASSES:
        hint = "; --task regression predicts a number" if numeric else ""
        raise RefusedError(f"target {name}: found {len(values)} classes, expected at most {MOST_CLASSES}{hint}")
    if "" in values:
        raise RefusedError(f"target {name}: found an empty text as a class, expected a name for it")
    if chosen == BINARY:
        return _binary(name, column, values, why, positive)
    return TargetProfile(Target(name, "multiclass", tuple(values)), column, why)


def _task(column: pa.ChunkedArray, distinct: int) -> tuple[str, str]:
    what = {"int64": "integers", "double": "numbers", "string": "texts", "bool": "truth values"}[str(column.type)]
    said = f"{distinct} distinct {what}"
    if distinct == 2:
        return BINARY, said
    if what == "texts":
        return "multiclass", said
    if what == "integers" and distinct <= FEW_INTEGERS and distinct * ROWS_A_CLASS <= len(column):
        return "multiclass", f"{said}; --task regression makes it a number"
    hint = "; --task multiclass makes them classes" if what == "integers" and distinct <= MOST_CLASSES else ""
    return "regression", said + hint


def _regression(name: str, column: pa.ChunkedArray, numeric: bool, why: str) -> TargetProfile:
    if not numeric:
        raise RefusedError(f"target {name}: found {column.type}, expected numbers for a regression")
    lowest, highest = pc.min_max(column).as_py().values()
    low, high = with_room(float(lowest), float(highest), pa.types.is_integer(column.type))
    return TargetProfile(Target(name, "regression", (), {"minimum": low, "maximum": high}), column, why)


def _binary(name: str, column: pa.ChunkedArray, values: list[Any], why: str, positive: str | None) -> TargetProfile:
    """Which class is positive: what a person said, else a name that says it, else the rarer one.

    Integers 0 and 1, and truth values, keep their order, since libraries use places.
    """
    named = {str(value).lower(): value for value in values}
    chosen: Class
    fixed = values == [0, 1]  # True is 1
    if positive is not None:
        if positive.lower() not in named or (fixed and named[positive.lower()] != 1):
            expected = "1, or a column with texts" if fixed else f"one of {', '.join(map(str, values))}"
            raise RefusedError(f"--positive: found {positive!r}, expected {expected}")
        chosen, reason = named[positive.lower()], "as you said"
    elif fixed:
        chosen, reason = values[1], "as 1 is"
    else:
        by_name = [value for text, value in named.items() if text in POSITIVE]
        others = [value for text, value in named.items() if text in NEGATIVE]
        if len(by_name) == 1 or len(others) == 1:
            chosen = by_name[0] if len(by_name) == 1 else next(value for value in values if value != others[0])
            reason = "by its name; --positive names another"
        else:
            counts = {each["values"]: each["counts"] for each in pc.value_counts(column).to_pylist()}
            chosen = min(values, key=lambda value: counts[value])
            reason = "the rarer one; --positive names another"
    negative = next(value for value in values if value != chosen)
    said = f"{why}; {str(chosen).lower() if fixed else chosen} is positive, {reason}"
    return TargetProfile(Target(name, BINARY, (negative, chosen)), column, said)


def has_long_tail(column: pa.ChunkedArray) -> bool:
    """Whether no number is below 0, most are small, and a few are many times as large."""
    middle, mean, highest = pc.quantile(column, 0.5)[0].as_py(), pc.mean(column).as_py(), pc.max(column).as_py()
    return bool(pc.min(column).as_py() >= 0 and mean > TAIL_OF_MEAN * middle and highest > TAIL_OF_MOST * middle)
