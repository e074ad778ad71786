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
    """The recorded rows, as a request carries them, and evaluation's prediction of each."""

    instances: tuple[Mapping[str, Any], ...]
    predictions: tuple[float, ...]


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
    if len(instances) != len(predictions) or not all(_finite(value) for value in predictions):
        raise EvidenceError("recorded rows: expected one finite prediction for each instance")
    return RecordedRows(tuple(instances), tuple(float(value) for value in predictions))


def compare(rows: RecordedRows, answered: object, limit: float) -> Parity:
    """`answered`: the predictions of the tasks, in the order of the rows; `limit`: the largest difference allowed."""
    if not isinstance(answered, list) or len(answered) != len(rows.predictions):
        found = len(answered) if isinstance(answered, list) else type(answered).__name__
        return Parity(False, f"replay: found {found} predictions, expected {len(rows.predictions)}")
    bad = [row for row, value in enumerate(answered) if not _finite(value)]
    if bad:
        return Parity(False, f"replay: row {bad[0]}: found {answered[bad[0]]!r}, expected a finite prediction")
    differences = [abs(found - expected) for found, expected in zip(answered, rows.predictions, strict=True)]
    row = max(range(len(differences)), key=differences.__getitem__)
    over = sum(difference > limit for difference in differences)
    if over:
        return Parity(
            False,
            f"replay: {over} of {len(differences)} rows differ from evaluation by more than the limit {limit:g}: "
            f"the largest difference is {differences[row]:g} in row {row} "
            f"(served {answered[row]!r}, evaluated {rows.predictions[row]!r})",
        )
    return Parity(
        True,
        f"replay: {len(differences)} rows within {limit:g} of evaluation, the largest difference {differences[row]:g}",
    )


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
