"""What a pipeline would refuse later is refused before a snapshot is published, which is for good."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.commands.snapshot import refuse_other_identities, validated
from lockgate.configuration.model import Feature, Model
from lockgate.data.row_identities import read_identities
from lockgate.errors import DataContractError, LockgateError
from lockgate.tasks.target import binary

MODEL = Model(
    name="income",
    description="who earns more",
    identifier="person",
    target=binary("more"),
    protected=("sex",),
    features=(Feature("age", "integer", minimum=0, maximum=99), Feature("sex", "category", ("1", "2"))),
    parameters={},
    train_data="train.parquet",
    holdout_data="holdout.parquet",
)


def rows(first: int = 0, **columns: Any) -> pa.Table:
    good = {
        "person": list(range(first, first + 4)),
        "age": [1, 2, 3, 4],
        "sex": ["1", "2", "1", "2"],
        "more": [0, 1, 0, 1],
    }
    return pa.table({**good, **columns})


def refused(train: pa.Table, holdout: pa.Table) -> str:
    with pytest.raises(LockgateError) as caught:
        validated(train, holdout, MODEL)
    return str(caught.value)


def test_rows_that_keep_the_contract_have_their_digests() -> None:
    digests = validated(rows(), rows(10), MODEL)
    assert [read_identities(digests[part]).rows for part in ("train", "holdout")] == [4, 4]


def test_who_wrote_the_rows_changes_no_digest() -> None:
    plain = validated(rows(), rows(10), MODEL)
    sex = pa.DictionaryArray.from_arrays(
        pa.array([1, 2, 1, 2], pa.int8()), pa.array(["3", "1", "2"], pa.large_string())
    )
    other = rows(sex=sex, person=pa.array([0, 1, 2, 3], pa.uint16()), age=pa.array([1, 2, 3, 4], pa.int8()))
    assert validated(other, rows(10), MODEL) == plain


@pytest.mark.parametrize(
    ("holdout", "message"),
    [
        (rows(10, more=[1, 1, 1, 1]), "holdout.parquet: column more: found 1, expected each of 0, 1 and no other"),
        (rows(10, more=[0, 1, None, 1]), "holdout.parquet: column more: found 0, 1, None, expected each of"),
        (rows(10).slice(0, 0), "holdout.parquet: column more: found no row, expected each of 0, 1"),
        (rows(10, person=[9, 9, 10, 11]), "holdout.parquet: column person: found 0 nulls and 3 different values"),
        (rows(10, age=[1, 2, 3, 400]), "holdout.parquet: column age: found 400 in 1 row"),
        (rows(10, age=[1.0, 2.0, 3.0, float("nan")]), "a missing number is null here and not NaN"),
        (rows(10, sex=["1", "2", "3", "1"]), "holdout.parquet: column sex: found '3' in 1 row"),
        (rows(10, person=["10", "11", "12", "13"]), "column person: found string, expected int64 as in train.parquet"),
        (rows(2), "holdout.parquet: found 2 of 4 rows that train.parquet has too, expected none"),
        (rows(10).drop_columns(["age"]), "holdout.parquet: column age: found no such column"),
    ],
)
def test_a_holdout_that_the_pipeline_would_refuse_is_not_published(holdout: pa.Table, message: str) -> None:
    assert message in refused(rows(), holdout)
    if "rows that" not in message and "as in train" not in message:  # the same of training rows
        assert message.replace("holdout.parquet", "train.parquet") in refused(holdout, rows(50))


def test_a_text_identifier_is_no_other_row_than_the_same_number(tmp_path: Path) -> None:
    """0.1 took them for different rows, and the proof that a holdout shares none did not see them."""
    assert "else the same row would count as two" in refused(rows(), rows(0, person=["0", "1", "2", "3"]))


def test_a_holdout_has_no_entity_and_no_time_of_training() -> None:
    by_entity, by_time = replace(MODEL, entity="house"), replace(MODEL, time="day")
    train = rows(house=[*"aabb"], day=["2026-01-01"] * 4)
    with pytest.raises(LockgateError, match=r"holdout.parquet: column house: found 1 that train.parquet has too, 'b'"):
        validated(train, rows(10, house=[*"bccd"]), by_entity)
    with pytest.raises(LockgateError, match=r"column day: found 2026-01-01 while train.parquet goes on to 2026-01-01"):
        validated(train, rows(10, day=["2026-01-01", *["2026-01-02"] * 3]), by_time)
    with pytest.raises(LockgateError, match=r"column house: found int64, expected string as in train.parquet"):
        validated(train, rows(10, house=[1, 2, 3, 4]), by_entity)
    assert validated(train, rows(10, house=[*"ccdd"], day=["2026-01-02"] * 4), replace(by_entity, time="day"))


def test_training_rows_have_the_entity_and_the_time_once_each() -> None:
    model = replace(MODEL, entity="house", time="age")
    assert model.training_columns == ("person", "age", "sex", "house", "more")


class OneSnapshot:
    """A bucket with one snapshot, whose training rows have this identifier."""

    def __init__(self, name: str, identifier: Any) -> None:
        sink = io.BytesIO()
        pq.write_table(pa.table({name: identifier}), sink)
        self.data = sink.getvalue()

    def get_paginator(self, _: str) -> Any:
        found = {"Key": "snapshots/income/aaaa/manifest.json", "LastModified": 1}
        return SimpleNamespace(paginate=lambda **_: [{"Contents": [found]}])

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Key == "snapshots/income/aaaa/train/train.parquet"
        return {"Body": io.BytesIO(self.data)}


@pytest.mark.parametrize("before", [["1", "2"], [1.0, 2.0]], ids=["texts", "doubles"])
def test_identifiers_of_another_type_than_before_are_refused_since_known_rows_would_count_as_fresh(before: Any) -> None:
    with pytest.raises(DataContractError) as caught:
        refuse_other_identities(OneSnapshot("person", before), "data", rows(), MODEL)
    assert "train.parquet: column person: found int64, expected " in str(caught.value)
    assert "as in snapshot aaaa, which is published" in str(caught.value)


def test_identifiers_as_before_are_taken_however_wide_they_were_written() -> None:
    refuse_other_identities(OneSnapshot("person", pa.array([1, 2], pa.int16())), "data", rows(), MODEL)
    refuse_other_identities(OneSnapshot("other", ["1"]), "data", rows(), MODEL)
    nothing = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: [{}]))
    refuse_other_identities(nothing, "data", rows(), MODEL)
