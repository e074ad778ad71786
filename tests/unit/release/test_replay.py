"""Train-serve parity: what new tasks answer is compared row by row, and the reason has the numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from lockgate import canonical
from lockgate.errors import EvidenceError
from lockgate.release.replay import RecordedRows, compare, difference, read_rows

ROWS = RecordedRows(({"a": 1}, {"a": 2}, {"a": 3}), ((0.1,), (0.5,), (0.9,)))


def recorded(**changes: Any) -> bytes:
    return canonical.to_bytes({"instances": list(ROWS.instances), "predictions": [0.1, 0.5, 0.9], **changes})


@pytest.mark.parametrize(
    ("recorded", "answered", "found"),
    [(0.25, 0.5, 0.25), ([0.25, 0.75], [0.25, 0.5], 0.25), (2.0e6, 2.0e6, 0.0)],
    ids=["one number", "one of several", "equal"],
)
def test_predictions_of_a_row_are_as_far_apart_as_their_farthest_numbers(
    recorded: object, answered: object, found: float
) -> None:
    assert difference(recorded, answered) == found


def test_what_cannot_be_compared_has_no_difference() -> None:
    assert math.isnan(difference([0.5, 0.5], 0.5))


def test_recorded_rows_are_read_with_their_digest() -> None:
    data = recorded()
    assert read_rows(data, canonical.sha256(data)) == ROWS


def test_altered_rows_are_refused() -> None:
    with pytest.raises(EvidenceError, match="they were altered"):
        read_rows(recorded(), "0" * 64)


@pytest.mark.parametrize(
    "changes",
    [{"instances": []}, {"predictions": [0.1]}, {"predictions": [0.1, None, 0.9]}, {"predictions": [0.1, True, 0.9]}],
    ids=str,
)
def test_rows_without_one_prediction_each_are_refused(changes: dict[str, Any]) -> None:
    data = recorded(**changes)
    with pytest.raises(EvidenceError, match="recorded rows: expected"):
        read_rows(data, canonical.sha256(data))


def test_equal_answers_pass() -> None:
    parity = compare(ROWS, [0.1, 0.5, 0.9], 0.0)
    assert (parity.passed, parity.message) == (True, "replay: 3 rows within 0 of evaluation, the largest difference 0")


def test_an_answer_at_the_limit_passes_and_one_beyond_it_does_not() -> None:
    assert compare(ROWS, [0.1, 0.5, 0.9 + 0.0625], 0.0625 + 1e-12).passed
    assert not compare(ROWS, [0.1, 0.5, 0.9 + 0.0625], 0.0624).passed


def test_the_reason_names_the_largest_difference_its_row_and_the_limit() -> None:
    parity = compare(ROWS, [0.1, 0.75, 0.95], 1e-9)
    assert not parity.passed
    assert parity.message == (
        "replay: 2 of 3 rows differ from evaluation by more than the limit 1e-09: "
        "the largest difference is 0.25 in row 1 (served 0.75, evaluated 0.5)"
    )


@pytest.mark.parametrize("answered", [None, {}, [0.1, 0.5], [0.1, 0.5, 0.9, 0.9]], ids=str)
def test_another_number_of_answers_fails(answered: object) -> None:
    assert not compare(ROWS, answered, 1.0).passed


@pytest.mark.parametrize("value", [None, "0.5", True, float("nan"), float("inf"), [0.5]], ids=str)
def test_an_answer_that_is_no_finite_number_fails(value: object) -> None:
    parity = compare(ROWS, [0.1, value, 0.9], 1.0)
    assert (parity.passed, "row 1" in parity.message) == (False, True)


def test_json_of_the_server_is_what_is_compared() -> None:
    assert compare(ROWS, json.loads("[0.1, 0.5, 0.9]"), 0.0).passed
