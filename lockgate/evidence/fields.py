"""The parts of an evidence document, read strictly: what is missing or mistyped is an EvidenceError."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from lockgate.errors import EvidenceError

MOST_ROWS = 2**53  # a larger count is none that a float could hold exactly


def object_in(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    if not isinstance(found, dict):
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected an object")
    return found


def text_in(document: Mapping[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
    found = document.get(key)
    if not isinstance(found, str) or not found or (pattern and not pattern.fullmatch(found)):
        expected = f"text like {pattern.pattern}" if pattern else "text"
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected {expected}")
    return found


def texts_in(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected a list of texts")
    return tuple(found)


def count_in(document: Mapping[str, Any], key: str) -> int:
    found = document.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= MOST_ROWS:
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected a count")
    return found


def number_in(document: Mapping[str, Any], key: str) -> float:
    found = document.get(key)
    try:
        number = math.nan if isinstance(found, bool) or not isinstance(found, int | float) else float(found)
    except OverflowError:  # an integer that no float can hold
        number = math.inf
    if not math.isfinite(number):
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected a finite number")
    return number
