"""The one door for tables: whatever wrote a Parquet file, the columns that enter have one type for one kind of value.

pandas, polars, DuckDB, Spark, pyarrow and R write the same column in different ways: as a dictionary, as large or
viewed text, run-end encoded, with 16 or 64 bits, with a time zone or without. Behind this door there are these only:

| values | type |
| --- | --- |
| whole numbers, also decimals without a fraction | int64 |
| other numbers | double |
| texts | string |
| true and false | bool |
| days | date32[day] |
| moments, with a time zone | timestamp[us, tz=UTC] |
| moments, without one | timestamp[us] |

A value that is nowhere in the rows, as the unused category of a filtered pandas column, does not enter.
"""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lockgate.errors import DataContractError

LFS = b"version https://git-lfs"
ENDS = b"PAR1"  # a Parquet file begins and ends so
NESTED = "a column of single values: numbers, texts, booleans, days or moments"


def read_columns(file: Path, part: str) -> pa.Table:
    """A Parquet file with every column in its one type; `part` names it in messages. Raises DataContractError."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataContractError(f"{part}: {file.name}: {error.strerror}, expected a Parquet file") from error
    return canonical_columns(parquet_table(data, f"{part}: {file.name}"), part)


def parquet_table(data: bytes, where: str) -> pa.Table:
    """The table as its writer left it. Raises DataContractError that says what the bytes are if they are no Parquet."""
    if data[:4] != ENDS or data[-4:] != ENDS:
        raise DataContractError(f"{where}: found {_what(data)}, expected a Parquet file")
    try:
        return pq.read_table(io.BytesIO(data))
    except (OSError, pa.ArrowException) as error:
        raise DataContractError(
            f"{where}: found a Parquet file that cannot be read ({error}): write it anew"
        ) from error


def _what(data: bytes) -> str:
    """What a file that is no Parquet file looks like."""
    if not data:
        return "an empty file"
    if data.startswith(LFS):
        return "a pointer of Git LFS: fetch its content with `git lfs pull`"
    if data[:4] == ENDS:
        return "the beginning of a Parquet file: it was cut off"
    first = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    if b"," in first or b";" in first or b"\t" in first:
        return "text, such as CSV: pandas.read_csv(...).to_parquet(...) makes one"
    return f"{len(data)} bytes of something else"


def canonical_columns(table: pa.Table, part: str) -> pa.Table:
    """The table with every column in its one type, and without metadata of who wrote it.

    part: how messages name the table. Raises DataContractError for a column that no such type can hold.
    """
    columns = {name: _column(column, f"{part}: column {name}") for name, column in _named(table, part).items()}
    return pa.table(columns)


def _named(table: pa.Table, part: str) -> dict[str, pa.ChunkedArray]:
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataContractError(f"{part}: column {', '.join(twice)}: found more than one of the name, expected one")
    return dict(zip(table.column_names, table.columns, strict=True))


def _column(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    wanted = _type(_decoded(column.type), where)
    if column.type == wanted:
        return column
    try:
        if pa.types.is_run_end_encoded(column.type):
            column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.cast(wanted)
    except pa.ArrowException as error:
        raise DataContractError(
            f"{where}: found {column.type} with a value that {wanted} cannot hold, expected none: {error}"
        ) from error


def _decoded(found: pa.DataType) -> pa.DataType:
    """The type of the values, however they are encoded."""
    encoded = pa.types.is_dictionary(found) or pa.types.is_run_end_encoded(found)
    return _decoded(found.value_type) if encoded else found


def _type(found: pa.DataType, where: str) -> pa.DataType:
    types = pa.types
    if types.is_integer(found) or (types.is_decimal(found) and found.scale <= 0):
        return pa.int64()
    if types.is_floating(found) or types.is_decimal(found):
        return pa.float64()
    if types.is_string(found) or types.is_large_string(found) or types.is_string_view(found):
        return pa.string()
    if types.is_boolean(found) or types.is_null(found):
        return found
    if types.is_date(found):
        return pa.date32()
    if types.is_timestamp(found):
        return pa.timestamp("us", "UTC" if found.tz else None)
    raise DataContractError(f"{where}: found {found}, expected {NESTED}")
