"""An attribute that is no feature, and a number in bins, are groups beside the labels."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lockgate.configuration.groups import bin_names, can_be, described
from lockgate.configuration.model import Feature, Model
from lockgate.tasks.target import binary
from runtime.groups import group_columns

AGE = Feature("age", "integer", minimum=18, maximum=99, null_share=0.5, bins=(25, 26, 60))
SCORE = Feature("score", "number", minimum=0, maximum=1, bins=(0.25, 0.5))
REGION = Feature("region", "category", ("1", "2"))


def test_bins_have_names_that_a_person_reads() -> None:
    assert bin_names(AGE) == ("18 to 24", "25", "26 to 59", "60 to 99")
    assert bin_names(SCORE) == ("0 to below 0.25", "0.25 to below 0.5", "0.5 to 1")
    assert described(AGE) == "18 to 24, 25, 26 to 59, 60 to 99, null"
    assert can_be(AGE, "60 to 99")
    assert not can_be(AGE, "60 to 98")
    assert can_be(AGE, "null")
    assert not can_be(SCORE, "null")


@pytest.mark.parametrize(
    ("value", "group"),
    [
        (18, "18 to 24"),
        (24, "18 to 24"),
        (25, "25"),
        (26, "26 to 59"),
        (60, "60 to 99"),
        (99, "60 to 99"),
        (None, None),
    ],
)
def test_a_value_at_an_edge_begins_the_next_group(value: int | None, group: str | None) -> None:
    model = Model("m", "", "id", binary("y"), ("age",), (SCORE,), {}, "", "", attributes=(AGE,))
    table = pa.table({"id": [1, 2], "age": pa.array([value, 18]), "score": [0.1, 0.2]})
    assert group_columns(table, model)["age"].to_pylist() == [group, "18 to 24"]


def test_a_protected_feature_without_bins_is_read_where_the_features_are() -> None:
    model = Model("m", "", "id", binary("y"), ("score", "region"), (SCORE, REGION), {}, "", "")
    table = pa.table({"id": [1, 2], "region": [1, 2], "score": [0.25, 1.0]})
    assert {name: column.to_pylist() for name, column in group_columns(table, model).items()} == {
        "score": ["0.25 to below 0.5", "0.5 to 1"]
    }
    other = Model("m", "", "id", binary("y"), ("region",), (SCORE,), {}, "", "", attributes=(REGION,))
    assert group_columns(table, other)["region"].to_pylist() == ["1", "2"]
