"""CSV and Parquet as they lie about, and what a broken file is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.profile.reading import read_rows
from lockgate.errors import DataContractError


def csv(folder: Path, content: bytes, name: str = "rows.csv") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_each_separator_is_found_with_a_byte_order_mark_and_without(
    tmp_path: Path, separator: str, mark: bytes
) -> None:
    content = 'a;"b;c"\n1;"x;y"\n2;\n'.replace(";", separator)
    table = read_rows(csv(tmp_path, mark + content.encode()), "rows.csv").table
    assert table.to_pydict() == {"a": [1, 2], f"b{separator}c": [f"x{separator}y", None]}


def test_decimal_commas_between_semicolons_are_numbers(tmp_path: Path) -> None:
    table = read_rows(csv(tmp_path, b"a;b\n1,5;x\n22,75;y\n"), "rows.csv").table
    assert table["a"].to_pylist() == [1.5, 22.75]


def test_utf_16_with_its_mark_is_read(tmp_path: Path) -> None:
    assert read_rows(csv(tmp_path, "a,b\n1,ä\n".encode("utf-16")), "rows.csv").table["b"].to_pylist() == ["ä"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file"),
        (b"a,b\n1,2\n1,2,3\n", "row 3: Expected 2 columns, got 3"),
        (b"a,b\n1,K\xf6ln\n", "row 2: found the byte 0xf6, expected UTF-8: `iconv -f WINDOWS-1252"),
        (b"1.5,2\n2.5,3\n", "row 1: found 1.5, 2, expected the columns' names"),
        (b"PK\x03\x04\0\0,\0", "found zero bytes"),
    ],
)
def test_a_broken_file_is_told_where_and_what(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataContractError) as refused:
        read_rows(csv(tmp_path, content), "rows.csv")
    assert said in str(refused.value)


def test_names_are_made_unique_and_none_is_empty(tmp_path: Path) -> None:
    read = read_rows(csv(tmp_path, b",a, a,a_2\n1,2,3,4\n"), "rows.csv")
    assert read.table.column_names == ["column_1", "a", "a_3", "a_2"]
    assert len(read.notes) == 2


def test_parts_of_a_folder_are_one_table_with_what_its_folders_say(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"day=2026-11-0{day}").mkdir()
        pq.write_table(pa.table({"a": [day]}), tmp_path / f"day=2026-11-0{day}" / "part.parquet")
    (tmp_path / "_SUCCESS").touch()
    table = read_rows(tmp_path, "rows").table
    assert table.to_pydict() == {"a": [1, 2], "day": ["2026-11-01", "2026-11-02"]}


def test_nan_and_empty_texts_of_parquet_are_null_and_lists_are_left_out(tmp_path: Path) -> None:
    table = pa.table({"a": [1.5, np.nan], "b": ["", "x"], "c": [[1], [2]]})
    pq.write_table(table, tmp_path / "rows.parquet")
    read = read_rows(tmp_path / "rows.parquet", "rows.parquet")
    assert read.table.to_pydict() == {"a": [1.5, None], "b": [None, "x"]}
    assert len(read.notes) == 3
