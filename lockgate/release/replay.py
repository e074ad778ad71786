"""Whether new tasks answer the rows that evaluation recorded as evaluation did, before they get traffic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate import canonical
from lockgate.errors import EvidenceError


@dataclass(frozen=True)
class RecordedRows:
    """The recorded rows, as a request carries them, and evaluation's prediction of each: one number or several.

    unit: what a difference is relative to, so that a limit means the same for prices as for probabilities.
    """

    instances: tuple[Mapping[str, Any], ...]
    predictions: tuple[tuple[float, ...], ...]
    unit: float = 1.0


@dataclass(frozen=True)
class Parity:
    """passed: every answer is within the limit; message: with the numbers."""

    passed: bool
    message: str


def read_rows(data: bytes, sha256: str) -> RecordedRows:
    """Raises EvidenceError unless these are the bytes with that digest, and rows with one finite prediction each."""
    found = canonical.sha256(data)
    if found != sha256:
        raise EvidenceError(f"recorded rows: SHA-256 found {found}, the release pins {sha256}: they were altered")
    document = canonical.from_bytes(data, "recorded rows")
    instances, predictions = document.get("instances"), document.get("predictions")
    if not isinstance(instances, list) or not isinstance(predictions, list) or not instances:
        raise EvidenceError("recorded rows: expected instances and predictions, at least one row")
    read = [_numbers(value) for value in predictions]
    if len(instances) != len(predictions) or len({len(numbers) for numbers in read}) != 1 or not read[0]:
        raise EvidenceError("recorded rows: expected one finite prediction for each instance")
    unit = document.get("unit", 1.0)
    if not _finite(unit) or not unit > 0:
        raise EvidenceError(f"recorded rows: unit: found {unit!r}, expected a number above 0")
    return RecordedRows(tuple(instances), tuple(read), float(unit))


def compare(rows: RecordedRows, answered: object, limit: float) -> Parity:
    """`answered`: the predictions of the tasks, in the order of the rows; `limit`: the largest difference allowed."""
    if not isinstance(answered, list) or len(answered) != len(rows.predictions):
        found = len(answered) if isinstance(answered, list) else type(answered).__name__
        return Parity(False, f"replay: found {found} predictions, expected {len(rows.predictions)}")
    read, width = [_numbers(value) for value in answered], len(rows.predictions[0])
    bad = [row for row, numbers in enumerate(read) if len(numbers) != width]
    if bad:
        wanted = "a finite prediction" if width == 1 else f"{width} finite numbers"
        return Parity(False, f"replay: row {bad[0]}: found {answered[bad[0]]!r}, expected {wanted}")
    differences = [
        max(abs(one - other) for one, other in zip(found, expected, strict=True)) / rows.unit
        for found, expected in zip(read, rows.predictions, strict=True)
    ]
    row = max(range(len(differences)), key=differences.__getitem__)
    over = sum(difference > limit for difference in differences)
    if over:
        return Parity(
            False,
            f"replay: {over} of {len(differences)} rows differ from evaluation by more than the limit {limit:g}: "
            f"the largest difference is {differences[row]:g} in row {row} "
            f"(served {answered[row]!r}, evaluated {_shown(rows.predictions[row])!r})",
        )
    return Parity(
        True,
        f"replay: {len(differences)} rows within {limit:g} of evaluation, the largest difference {differences[row]:g}",
    )


def difference(recorded: object, answered: object) -> float:
    """The largest difference between two predictions of the same row, of one number or several; NaN where they cannot
    be compared.
    """
    one, other = _numbers(recorded), _numbers(answered)
    if not one or len(one) != len(other):
        return math.nan
    return max(abs(found - expected) for found, expected in zip(one, other, strict=True))


def _numbers(value: object) -> tuple[float, ...]:
    """The numbers of one prediction, several in a list; none where it has one that is not finite."""
    numbers = value if isinstance(value, list) else [value]
    fits = all(_finite(each) for each in numbers) and not (isinstance(value, list) and len(value) < 2)
    return tuple(map(float, numbers)) if fits else ()


def _shown(numbers: tuple[float, ...]) -> object:
    return numbers[0] if len(numbers) == 1 else list(numbers)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
