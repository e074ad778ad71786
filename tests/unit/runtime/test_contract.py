from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.configuration.model import Feature, Model
from lockgate.errors import DataContractError
from runtime.contract import Violation, accepts, first_violation, refuse_broken_columns, shown

FEATURES = (
    Feature("kind", "category", ("a", "b")),
    Feature("count", "integer", (), 0, 9),
    Feature("share", "number", (), -1, 1, null_share=0.5),
)
MODEL = Model("toy", "a toy", "id", "y", (), FEATURES, {}, "", "")


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_columns_and_rows_of_floats_are_judged_alike(value: float) -> None:
    table = pa.table({"id": [1], "kind": ["a"], "count": [1], "share": [value]})
    row = {"kind": "a", "count": 1, "share": value}
    if first_violation([row], MODEL) is None:
        refuse_broken_columns(table, MODEL, "train")
    else:
        with pytest.raises(DataContractError, match="column share"):
            refuse_broken_columns(table, MODEL, "train")


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none(), st.lists(st.integers(), max_size=1)))
def test_an_accepted_integer_is_whole_and_in_range_whatever_is_sent(value: object) -> None:
    accepted = accepts(FEATURES[1], value)
    assert accepted == (not isinstance(value, bool) and value in set(range(10)) if not isinstance(value, list) else 0)


@pytest.mark.parametrize(
    ("instance", "violation"),
    [
        ({"kind": "a", "count": 1, "share": 0.5}, None),
        ({"kind": "a", "count": 1.0, "share": 1}, None),
        ({"kind": "a", "count": 1, "share": None}, None),
        ("a", Violation(0, None, "'a'", "an object with one value a feature")),
        ({"kind": "a", "count": 1}, Violation(0, "share", "nothing", "a number from -1 to 1")),
        (
            {"kind": "a", "count": 1, "share": 0, "id": 7},
            Violation(0, "id", "7", "no such column: it is not a declared feature"),
        ),
        ({"kind": "c", "count": 1, "share": 0}, Violation(0, "kind", "'c'", "one of 'a', 'b'")),
        ({"kind": 1, "count": 1, "share": 0}, Violation(0, "kind", "1", "one of 'a', 'b'")),
        ({"kind": None, "count": 1, "share": 0}, Violation(0, "kind", "null", "one of 'a', 'b'")),
        ({"kind": "a", "count": "1", "share": 0}, Violation(0, "count", "'1'", "an integer from 0 to 9")),
        ({"kind": "a", "count": True, "share": 0}, Violation(0, "count", "True", "an integer from 0 to 9")),
        ({"kind": "a", "count": 1.5, "share": 0}, Violation(0, "count", "1.5", "an integer from 0 to 9")),
        (
            {"kind": "a", "count": 10**400, "share": 0},
            Violation(0, "count", "an integer of more than 64 bits", "an integer from 0 to 9"),
        ),
        ({"kind": "a", "count": [1], "share": 0}, Violation(0, "count", "a list", "an integer from 0 to 9")),
    ],
)
def test_a_row_keeps_the_contract_or_the_violation_says_where(instance: object, violation: Violation | None) -> None:
    assert first_violation([instance], MODEL) == violation


def test_the_first_broken_row_is_the_one_named() -> None:
    good = {"kind": "a", "count": 1, "share": 0}
    violation = first_violation([good, good, {**good, "kind": "z"}, {}], MODEL)
    assert violation is not None
    assert (violation.row, violation.column) == (2, "kind")


def test_nulls_are_allowed_up_to_the_declared_share() -> None:
    table = pa.table({"id": [1, 2], "kind": ["a", "b"], "count": [1, 2], "share": [None, 0.5]})
    refuse_broken_columns(table, MODEL, "train")
    table = pa.table({"id": [1, 2], "kind": ["a", "b"], "count": [1, 2], "share": pa.array([None, None], pa.float64())})
    with pytest.raises(DataContractError, match=r"column share: found null in 2 rows .* at most 0.5 of 2 rows null"):
        refuse_broken_columns(table, MODEL, "train")


def test_a_category_published_as_numbers_is_refused_and_not_converted() -> None:
    table = pa.table({"id": [1], "kind": [1], "count": [1], "share": [0.0]})
    with pytest.raises(DataContractError, match="column kind: found 1 in 1 row"):
        refuse_broken_columns(table, MODEL, "train")


@given(st.one_of(st.text(), st.integers(), st.floats(), st.dictionaries(st.text(), st.text())))
def test_what_a_caller_sent_is_never_shown_at_length(value: object) -> None:
    assert len(shown(value)) <= 40
