"""Reading rows as they lie about: CSV or Parquet, a file or a folder of parts, each column in one type.

A message about CSV counts rows as a spreadsheet does: the header is row 1.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from cli.profile.texts import typed
from lockgate.errors import DataContractError
from runtime.columns import ENDS, LFS, canonical_columns, parquet_table

SEPARATORS = ",;\t|"
ENDINGS = (".parquet", ".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
SAMPLE = 100  # rows of CSV by which the separator is found
FEW = 50  # different texts of a column of Parquet, which stay texts


@dataclass(frozen=True)
class ReadRows:
    """A table with every column in one type, and what was done to make it so, in sentences."""

    table: pa.Table
    notes: tuple[str, ...]


def read_rows(path: Path, shown: str, leave_out: Iterable[str] = ()) -> ReadRows:
    """All rows of a file, or of the files of a folder in the order of their names.

    shown: how messages name it. leave_out: columns that are not looked at. Raises DataContractError.
    """
    files = _files(path, shown)
    parts, notes = [], Counter[str]()
    for file in files:
        where = shown if file == path else f"{shown}/{file.relative_to(path).as_posix()}"
        read = _part(file, where, leave_out)
        parts.append(_with_partitions(read.table, path, file))
        notes.update(read.notes)
    try:
        table = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataContractError(f"{shown}: found parts whose columns differ: {error}") from error
    if len(files) > 1:
        notes[f"{len(files)} parts were read as one table"] += 1
    return _without_empty_rows(table, tuple(notes))


def _files(path: Path, shown: str) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [file for file in sorted(path.rglob("*")) if file.is_file() and file.name.lower().endswith(ENDINGS)]
    parts = [file for file in found if not any(name[0] in "._" for name in file.relative_to(path).parts)]
    if not parts:
        raise DataContractError(
            f"{shown}: found no file that ends with {', '.join(ENDINGS)}, expected parts of a table"
        )
    return parts


def _with_partitions(table: pa.Table, path: Path, file: Path) -> pa.Table:
    """A folder `day=2026-11-28` is a column, as Spark and Athena write it."""
    for part in file.relative_to(path).parts[:-1] if file != path else ():
        name, equals, value = part.partition("=")
        if equals and name not in table.column_names:
            column = pa.chunked_array([pa.array([value] * table.num_rows, pa.string())])
            table = table.append_column(name, column)
    return table


def _part(file: Path, where: str, leave_out: Iterable[str]) -> ReadRows:
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            data = stream.read()
    except OSError as error:
        raise DataContractError(f"{where}: {error.strerror or error}, expected a file of CSV or Parquet") from error
    if data[:4] == ENDS or data.startswith(LFS):
        return _parquet(data, where, leave_out)
    return _csv(data, where, leave_out)


def _parquet(data: bytes, where: str, leave_out: Iterable[str]) -> ReadRows:
    table = parquet_table(data, where)
    names, notes = _unique(table.column_names)
    table = table.rename_columns(names)
    columns = {}
    for name in names:
        if name in leave_out:
            continue
        if pa.types.is_nested(table[name].type) or pa.types.is_binary(table[name].type):
            notes.append(f"{name}: left out, since {table[name].type} is no single value")
            continue
        single = canonical_columns(table.select([name]), where)[name]
        columns[name], said = _mended(single, f"{where}: column {name}")
        notes += [f"{name}: {each}" for each in said]
    return ReadRows(pa.table(columns), tuple(notes))


def _mended(column: pa.ChunkedArray, where: str) -> tuple[pa.ChunkedArray, list[str]]:
    """Without NaN and empty texts, which are null; with many different texts of numbers or days read as these."""
    if pa.types.is_floating(column.type):
        nan = pc.sum(pc.is_nan(column)).as_py()
        if nan:
            return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column), [f"{nan} NaN were made null"]
    elif pa.types.is_string(column.type):
        empty = pc.sum(pc.equal(column, "")).as_py()
        said = [f"{empty} empty texts were made null"] if empty else []
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column) if empty else column
        if pc.count_distinct(column).as_py() > FEW:
            read = typed(column, where, 1)
            return read.column, said + ([read.note] if read.note else [])
        return column, said
    return column, []


def _csv(data: bytes, where: str, leave_out: Iterable[str]) -> ReadRows:
    text = _utf8(data, where)
    separator = separator_of(text[: 1 << 16].decode("utf-8", "ignore"))
    table = _texts(text, separator, where)
    names = [(value or "").strip() for value in (column[0].as_py() for column in table.columns)]
    if all(not name or _is_number(name) for name in names):
        raise DataContractError(f"{where}: row 1: found {', '.join(names)[:60]}, expected the columns' names")
    names, notes = _unique(names)
    texts = {name: column.slice(1) for name, column in zip(names, table.columns, strict=True) if name not in leave_out}
    read = {name: typed(column, f"{where}: column {name}", 2) for name, column in texts.items()}
    marks = {each.decimal for each in read.values()} - {""}
    if len(marks) == 1:  # what one column shows clearly holds for all of the file
        doubtful = [name for name, each in read.items() if each.doubtful]
        read |= {name: typed(texts[name], f"{where}: column {name}", 2, *marks) for name in doubtful}
    columns = {name: each.column for name, each in read.items()}
    notes += [f"{name}: {each.note}" for name, each in read.items() if each.note]
    return ReadRows(pa.table(columns), tuple(notes))


def _utf8(data: bytes, where: str) -> bytes:
    """The bytes as UTF-8, without a byte order mark. Raises DataContractError with the row of what is none."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise DataContractError(f"{where}: found an empty file, expected CSV with a header, or Parquet")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise DataContractError(
            f"{where}: row {row}: found the byte {data[error.start]:#04x}, expected UTF-8: "
            f"`iconv -f WINDOWS-1252 -t UTF-8 {Path(where).name}` writes what Excel saved as UTF-8"
        ) from error
    if b"\0" in data:
        raise DataContractError(f"{where}: found zero bytes, expected CSV with a header, or Parquet")
    return data


def separator_of(sample: str) -> str:
    """The separator by which most rows of the sample have as many fields as the header; of equal ones, more fields."""
    best = (0.0, 1, SEPARATORS[0])
    for separator in SEPARATORS:
        lines = sample.splitlines()[: SAMPLE + 1]
        widths = [len(row) for row in csv.reader(lines[:-1] or lines, delimiter=separator) if row]
        if widths and widths[0] > 1:
            alike = sum(width == widths[0] for width in widths) / len(widths)
            best = max(best, (alike, widths[0], separator), key=lambda each: each[:2])
    return best[2]


def _texts(data: bytes, separator: str, where: str) -> pa.Table:
    """All columns as texts, with the header as the first row; an empty value is null."""
    header = next(csv.reader(data[: 1 << 20].decode("utf-8", "ignore").splitlines(), delimiter=separator))
    types = {f"f{place}": pa.string() for place in range(len(header))}
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(
                autogenerate_column_names=True, use_threads=False, block_size=min(len(data) + 1, 2**30)
            ),
            pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types=types, strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=True
            ),
        )
    except pa.ArrowException as error:
        said = str(error).removeprefix("CSV parse error: ").split(": ", 2)
        shown = ": ".join(said[:2]).replace("Row #", "row ")
        raise DataContractError(
            f"{where}: {shown} ({separator!r} separates them): a value with {separator!r} in it needs quotes"
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of columns, each once and none empty, and what was renamed."""
    found: list[str] = []
    notes = []
    for place, name in enumerate(names, 1):
        wanted = name.strip() or f"column_{place}"
        made, number = wanted, 2
        while made in found or (made != wanted and made in names):
            made, number = f"{wanted}_{number}", number + 1
        found.append(made)
        if made != name:
            notes.append(f"column {place}, named {name!r}, is {made!r}")
    return found, notes


def _without_empty_rows(table: pa.Table, notes: tuple[str, ...]) -> ReadRows:
    empty = None
    for column in table.columns:
        nothing = pc.is_null(column)
        empty = nothing if empty is None else pc.and_(empty, nothing)
    count = pc.sum(empty).as_py() if empty is not None and table.num_rows else 0
    if not count:
        return ReadRows(table, notes)
    return ReadRows(table.filter(pc.invert(empty)), (*notes, f"{count} rows without any value were left out"))
