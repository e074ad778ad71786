"""Between Parquet files and the matrix that a model sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lockgate.configuration.model import Model

Matrix = npt.NDArray[np.object_]


def matrix_of_table(table: pa.Table, model: Model) -> Matrix:
    """Rows x features in declared order: texts for categories, floats for numbers, None for null."""
    matrix = np.empty((table.num_rows, len(model.features)), dtype=object)
    for index, feature in enumerate(model.features):
        column = table[feature.name]
        matrix[:, index] = column.to_pylist() if column.null_count else column.to_numpy()
    return matrix


def matrix_of_instances(instances: Sequence[Mapping[str, Any]], model: Model) -> Matrix:
    """As `matrix_of_table`, of rows that keep the data contract."""
    matrix = np.empty((len(instances), len(model.features)), dtype=object)
    for row, instance in enumerate(instances):
        for index, feature in enumerate(model.features):
            value = instance[feature.name]
            matrix[row, index] = float(value) if feature.type != "category" and value is not None else value
    return matrix
