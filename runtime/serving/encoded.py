"""A pipeline's last step on columns that tables encode: for models that the walker cannot take.

Most of the time a pipeline needs for a few rows goes into its encoders, which look up texts in arrays of objects. Their
own answers for every declared category are in tables (convert.py), so that only the last step is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lockgate.configuration.model import Model
from runtime.artifact import answers
from runtime.serving.convert import CategoryColumn, Column, NotConvertible, NumberColumn, columns_of

Floats = npt.NDArray[np.float64]


class EncodedEngine:
    """Raises NotConvertible for an estimator whose encoders tables cannot replace."""

    def __init__(self, estimator: Any, model: Model) -> None:
        columns, self._last = columns_of(estimator, model)
        if hasattr(self._last, "feature_names_in_"):
            raise NotConvertible("the last step knows its columns by name")
        self._model = model
        self._features, self._width = len(model.features), len(columns)
        numbers = [(place, column) for place, column in enumerate(columns) if isinstance(column, NumberColumn)]
        categories = [(place, column) for place, column in enumerate(columns) if isinstance(column, CategoryColumn)]
        self._number_places, self._number_features = _places(numbers)
        self._subtract = np.array([column.subtract for _, column in numbers])
        self._divide = np.array([column.divide for _, column in numbers])
        self._places, self._category_features = _places(categories)
        self._tables = _tables([column for _, column in categories])
        self._rows_of_tables = np.arange(len(categories))

    def predict(self, codes: bytes, rows: int) -> list[float] | list[list[float]]:
        """codes: rows x features as float64, categories as places in model.toml, NaN for null."""
        given = np.frombuffer(codes, dtype=np.float64).reshape(rows, self._features)
        matrix: Any = np.empty((rows, self._width))
        matrix[:, self._number_places] = (given[:, self._number_features] - self._subtract) / self._divide
        categories = given[:, self._category_features]
        which = np.where(np.isnan(categories), -1.0, categories).astype(np.intp)  # null is the last of each table
        matrix[:, self._places] = self._tables[self._rows_of_tables, which]
        found: list[float] = answers(self._last, matrix, self._model).tolist()
        return found


def _places(chosen: Sequence[tuple[int, Column]]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    places = np.array([place for place, _ in chosen], dtype=np.intp)
    return places, np.array([column.feature for _, column in chosen], dtype=np.intp)


def _tables(columns: Sequence[CategoryColumn]) -> Floats:
    """Columns x (longest list of categories + 1): the values, then, last, what stands for null."""
    longest = max((len(column.values) for column in columns), default=0)
    tables = np.full((len(columns), longest + 1), np.nan)
    for row, column in enumerate(columns):
        try:
            tables[row, : len(column.values)] = column.values.astype(np.float64)
            tables[row, -1] = np.nan if column.null in (None, ...) else float(column.null)
        except (TypeError, ValueError) as error:
            raise NotConvertible(f"a category that reaches the last step as no number: {error}") from error
    return tables
