"""One door for tables: the same rows enter alike, whoever wrote them."""

from __future__ import annotations

import datetime
import decimal
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lockgate.errors import DataContractError
from runtime.columns import canonical_columns, parquet_table, read_columns

TEXTS = ["a", None, "b"]
NUMBERS = [1, None, 3]
MOMENT = datetime.datetime(2026, 3, 1, 12, 30)
BERLIN = datetime.timezone(datetime.timedelta(hours=1))


def entered(column: Any) -> Any:
    return canonical_columns(pa.table({"x": column}), "train")["x"]


def run_ends(values: list[Any]) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([2, 4], pa.int32()), pa.array(values))


@pytest.mark.parametrize(
    "written",
    [
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array(TEXTS, pa.large_string()).dictionary_encode(),
        pa.chunked_array([pa.array(TEXTS[:1]).dictionary_encode(), pa.array(TEXTS[1:]).dictionary_encode()]),
        pa.DictionaryArray.from_arrays(pa.array([1, None, 2], pa.uint8()), ["never used", "a", "b"]),
    ],
    ids=lambda written: str(written.type),
)
def test_texts_enter_as_text(written: Any) -> None:
    column = entered(written)
    assert (column.type, column.to_pylist()) == (pa.string(), TEXTS)
    assert column.unique().to_pylist() == TEXTS


@pytest.mark.parametrize(
    "written",
    [
        *(
            pa.array(NUMBERS, kind)
            for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint32(), pa.int64(), pa.uint64())
        ),
        pa.array([decimal.Decimal(1), None, decimal.Decimal(3)], pa.decimal128(10, 0)),
        pa.array(NUMBERS, pa.int32()).dictionary_encode(),
    ],
    ids=lambda written: str(written.type),
)
def test_whole_numbers_enter_as_int64(written: Any) -> None:
    column = entered(written)
    assert (column.type, column.to_pylist()) == (pa.int64(), NUMBERS)


@pytest.mark.parametrize(
    "written",
    [
        *(pa.array([0.5, None], kind) for kind in (pa.float16(), pa.float32(), pa.float64())),
        pa.array([decimal.Decimal("0.50"), None], pa.decimal128(10, 2)),
        pa.array([decimal.Decimal("0.50"), None], pa.decimal256(50, 2)),
    ],
    ids=lambda written: str(written.type),
)
def test_other_numbers_enter_as_double(written: Any) -> None:
    column = entered(written)
    assert (column.type, column.to_pylist()) == (pa.float64(), [0.5, None])


def test_encoded_runs_enter_as_their_values() -> None:
    assert entered(run_ends(["a", "b"])).to_pylist() == ["a", "a", "b", "b"]
    assert entered(run_ends([1, 2])).type == pa.int64()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_enter_in_microseconds_and_those_with_a_zone_in_utc(unit: str) -> None:
    naive = entered(pa.array([MOMENT], pa.timestamp(unit)))
    assert (naive.type, naive.to_pylist()) == (pa.timestamp("us"), [MOMENT])
    local = MOMENT.replace(tzinfo=BERLIN)
    zoned = entered(pa.array([local], pa.timestamp(unit, "+01:00")))
    assert (zoned.type, zoned.to_pylist()) == (pa.timestamp("us", "UTC"), [local])


def test_days_and_truth_enter_as_they_are_and_a_column_of_nulls_stays_one() -> None:
    assert entered(pa.array([MOMENT.date()], pa.date64())).type == pa.date32()
    assert entered(pa.array([True, None])).to_pylist() == [True, None]
    assert entered(pa.nulls(2)).to_pylist() == [None, None]


def test_int96_of_spark_enters_as_a_moment(tmp_path: Path) -> None:
    file = tmp_path / "spark.parquet"
    pq.write_table(pa.table({"x": pa.array([MOMENT])}), file, use_deprecated_int96_timestamps=True)
    assert read_columns(file, "train")["x"].to_pylist() == [MOMENT]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (pa.array([[1]]), "train: column x: found list<item: int64>, expected a column of single values"),
        (pa.array([{"a": 1}]), "train: column x: found struct<a: int64>, expected a column of single values"),
        (pa.array([b"x"]), "train: column x: found binary, expected a column of single values"),
        (pa.array([2**63], pa.uint64()), "train: column x: found uint64 with a value that int64 cannot hold"),
    ],
)
def test_a_column_that_no_type_can_hold_is_refused_by_name(written: Any, message: str) -> None:
    with pytest.raises(DataContractError) as caught:
        entered(written)
    assert message in str(caught.value)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataContractError, match="train: column x: found more than one of the name"):
        canonical_columns(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), "train")


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS: fetch its content"),
        (b"\xef\xbb\xbfid;age\n1;2\n", "text, such as CSV"),
        (b"\x1f\x8b\x08\x00", "4 bytes of something else"),
        (parquet()[:-8], "the beginning of a Parquet file: it was cut off"),
        (b"PAR1 not at all PAR1", "a Parquet file that cannot be read"),
    ],
)
def test_bytes_that_are_no_parquet_file_are_named(data: bytes, found: str) -> None:
    with pytest.raises(DataContractError, match=f"^rows.parquet: found {found}"):
        parquet_table(data, "rows.parquet")
