"""Which rows fit a model and which rows measure it, when a model is measured on training rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lockgate.configuration.model import Model
from lockgate.errors import DataContractError
from lockgate.tasks.target import Target
from runtime.tasks.arrays import arrays_of

if TYPE_CHECKING:
    import pyarrow as pa

FOLDS = 5
Places = npt.NDArray[np.intp]
Fold = tuple[Places, Places]  # the rows to fit on, and the other rows, by their places in the table


def folds_of(table: pa.Table, model: Model) -> list[Fold]:
    """The folds of training rows, as model.toml says which of them belong together.

    Raises DataContractError where rows have fewer entities or moments than two.
    """
    entities, times = (_codes(table, name) for name in (model.entity, model.time))
    for name, codes in ((model.entity, entities), (model.time, times)):
        if codes is not None and codes.max() == 0:
            raise DataContractError(
                f"column {name}: found one value in all {len(codes)} rows, expected two and more, so that a model can "
                f"be measured on others than those that it was fitted on; take {name} out of model.toml"
            )
    return folds(_strata(table, model.target), entities, times)


def folds(strata: Any, entities: Any = None, times: Any = None, count: int = FOLDS) -> list[Fold]:
    """The same folds for the same rows, count of them or fewer; each row is measured in one fold at most.

    strata: the class of each row, of which each fold has the same share, or the same number everywhere. entities: whom
    a row is about; rows of one entity are never fitted on and measured in one fold. times: an order of the rows; a fold
    is fitted on what is earlier than what it measures, so that the earliest rows are measured in none, and the same
    time is never on both sides. All are integers from 0.
    """
    part = _dealt(strata, entities, count) if times is None else _forward(times, count)
    return [
        (_without(np.flatnonzero(part < each if times is not None else part != each), other, entities), other)
        for each in range(0 if times is None else 1, int(part.max()) + 1)
        if len(other := np.flatnonzero(part == each))
    ]


def _dealt(strata: Any, entities: Any, count: int) -> npt.NDArray[np.int64]:
    """The number of each row's fold: units are dealt like cards, those of one class and the largest ones first."""
    _, unit, sizes = np.unique(
        np.arange(len(strata)) if entities is None else entities, return_inverse=True, return_counts=True
    )
    rows = np.lexsort((strata, unit))
    first = rows[np.searchsorted(unit[rows], np.arange(len(sizes))) + sizes // 2]  # a row of its most frequent class
    mixed = np.random.default_rng(0).permutation(len(sizes))
    dealt = mixed[np.lexsort((-sizes[mixed], strata[first][mixed]))]
    part = np.empty(len(sizes), dtype=np.int64)
    part[dealt] = np.arange(len(sizes)) % count
    return part[unit]


def _forward(times: Any, count: int) -> npt.NDArray[np.int64]:
    """The number of each row's span: spans have about the same number of rows, and a moment lies in one span."""
    moments, rows = np.unique(times, return_counts=True)
    middle = np.cumsum(rows) - rows / 2
    span = np.minimum((middle * (count + 1) / len(times)).astype(np.int64), count)
    span = np.unique(span, return_inverse=True)[1]  # a span that has no moment is none
    if span.max() == 0:
        span = (np.arange(len(moments)) > 0).astype(np.int64)
    return span[np.searchsorted(moments, times)]  # type: ignore[no-any-return]


def _without(rows: Places, other: Places, entities: Any) -> Places:
    return rows if entities is None else rows[~np.isin(entities[rows], entities[other])]


def _codes(table: pa.Table, name: str) -> npt.NDArray[np.int64] | None:
    """The values of a column in their order, as numbers from 0; None where no column is declared."""
    if not name:
        return None
    return np.unique(table[name].to_numpy(), return_inverse=True)[1].astype(np.int64)


def _strata(table: pa.Table, target: Target) -> npt.NDArray[np.int64]:
    if not target.classes:
        return np.zeros(table.num_rows, dtype=np.int64)
    return arrays_of(target).truth(table[target.name], target)
