"""The group of each row of a holdout, for protected attributes that the evaluator does not see as values.

Groups lie beside the labels, which no code of a commit sees: an attribute that is no feature must not become one.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lockgate.configuration.groups import bin_names
from lockgate.configuration.model import Feature, Model


def group_columns(holdout: pa.Table, model: Model) -> dict[str, pa.Array]:
    """The names of groups as texts, for each protected attribute that is no feature or has bins.

    holdout: rows that keep the data contract. A missing value stays null. A column that is not there has no groups.
    """
    features = {feature.name for feature in model.features}
    return {
        column.name: _binned(holdout[column.name], column) if column.bins else holdout[column.name].cast(pa.string())
        for column in model.grouped
        if column.name in holdout.column_names and (column.bins or column.name not in features)
    }


def _binned(column: pa.ChunkedArray, declared: Feature) -> pa.Array:
    values = column.cast(pa.float64())
    places = np.searchsorted(declared.bins, pc.fill_null(values, 0.0).to_numpy(), side="right")
    names = pa.array(bin_names(declared)).take(pa.array(places))
    return pc.if_else(values.combine_chunks().is_null(), None, names)
