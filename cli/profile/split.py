"""Which rows train and which judge: always the same ones for the same rows, whatever their order in the file.

Rows of one entity lie on one side. Where a model will see later rows than it was trained on, the latest rows judge.
Else a digest of each row decides, within each class, so that rows that are alike lie on one side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cli.profile.columns import BORN, ENTITY, TIME, distinct

DIFFERENT_MOMENTS = 10
FEW_ENTITIES, ROWS_AN_ENTITY = 20, 1.2  # fewer are kinds, and with fewer rows each hardly any repeats
MANY_ALIKE = 0.05  # of the rows: few columns make rows alike, and keeping them on one side would hide kinds of rows
LABEL = "split"
Places = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DataSplit:
    """holdout: for each row whether it judges. how: in words. unused: rows that do neither."""

    holdout: Places
    how: str
    unused: Places | None = None

    @property
    def train(self) -> Places:
        return ~self.holdout if self.unused is None else ~self.holdout & ~self.unused


def digests(table: pa.Table) -> list[str]:
    """A digest of each row by the values of these columns. A label must not be among them: it could be guessed."""
    columns = [column.to_pylist() for column in table.select(sorted(table.column_names)).columns]
    rows = zip(*columns, strict=True) if columns else iter([()] * table.num_rows)
    return [sha256(repr(row).encode()).hexdigest()[:24] for row in rows]


def numbered(names: list[str]) -> list[str]:
    """Each name once: the second row of a name gets `-2`."""
    seen, found = Counter[str](), []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found


def alike(names: list[str]) -> int:
    """How many rows have a twin."""
    counts = Counter(names)
    return sum(count for count in counts.values() if count > 1)


def entity_of(table: pa.Table) -> str:
    """The column that names what several rows are about, by its name and because it repeats; "" where none does."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not ENTITY.fullmatch(name) or column.null_count:
            continue
        if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
            continue
        if FEW_ENTITIES < distinct(column) <= len(column) / ROWS_AN_ENTITY:
            return str(name)
    return ""


def time_of(table: pa.Table) -> str:
    """The column that says when a row happened: rows lie in its order, or its name says so. "" where none does."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        moment = pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)
        if not moment or column.null_count or BORN.fullmatch(name):
            continue
        if distinct(column) < DIFFERENT_MOMENTS:
            continue
        codes = column.cast(pa.timestamp("us", getattr(column.type, "tz", None))).cast(pa.int64()).to_numpy()
        steps = np.diff(codes)
        if TIME.fullmatch(name) or (steps >= 0).all() or (steps <= 0).all():
            return str(name)
    return ""


def by_time(column: pa.ChunkedArray, share: float) -> DataSplit:
    """The latest rows judge, as many as that share; rows of one moment lie on one side."""
    values = column.to_numpy() if not pa.types.is_date(column.type) else column.cast(pa.int32()).to_numpy()
    ordered = np.sort(values)
    cut = ordered[min(len(ordered) - 1, max(1, round(len(ordered) * (1 - share))))]
    first = values >= cut if (values < cut).any() else values > cut
    since = column.filter(pa.array(first))
    start = pc.min(since).as_py() if len(since) else None
    return DataSplit(first, f"by time: rows from {start} on judge")


def by_digest(names: list[str], classes: list[Any] | None, share: float) -> DataSplit:
    """Within each class, the rows whose digest comes first judge, and twins of a row lie with it.

    names: what must not be divided: digests of rows, or their entities. classes: None where numbers are predicted.
    """
    keys = np.array([sha256(f"{LABEL}{name}".encode()).hexdigest()[:16] for name in names])
    holdout = np.zeros(len(names), dtype=np.bool_)
    labels = np.array([repr(each) for each in classes]) if classes is not None else np.zeros(len(names), dtype=np.int8)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        order = places[np.argsort(keys[places], kind="stable")]
        holdout[order[: min(round(share * len(order)), len(order) - 1)]] = True
    trained = set(keys[~holdout])
    holdout &= np.array([key not in trained for key in keys], dtype=np.bool_)
    return DataSplit(holdout, "at random, by a digest of each row")


def by_entity(column: pa.ChunkedArray, share: float) -> DataSplit:
    """Entities in the order of their digests judge, until they have that share of the rows."""
    names = [str(each) for each in column.to_pylist()]
    counts = Counter(names)
    chosen, rows = set(), 0
    for name in sorted(counts, key=lambda each: sha256(f"{LABEL}{each}".encode()).hexdigest()):
        if rows >= share * len(names):
            break
        chosen.add(name)
        rows += counts[name]
    holdout = np.array([name in chosen for name in names], dtype=np.bool_)
    return DataSplit(holdout, f"by entity: {len(chosen)} of {len(counts)} judge")


def without_known(divided: DataSplit, column: pa.ChunkedArray) -> DataSplit:
    """Entities that judge train nothing: their earlier rows are left out."""
    names = np.array([repr(each) for each in column.to_pylist()])
    unused = np.isin(names, names[divided.holdout]) & ~divided.holdout
    return DataSplit(divided.holdout, f"{divided.how}, without {int(unused.sum()):,} earlier rows of those", unused)
