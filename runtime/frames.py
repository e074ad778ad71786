"""Between columns and the DataFrame that a model sees: named and typed as model.toml declares them.

| type | column of the frame | where nulls are allowed |
| --- | --- | --- |
| category | category, with every declared value in declared order | the same, NaN for null |
| integer | int64 | float64, NaN for null |
| number | float64 | the same, NaN for null |
| boolean | bool | float64, NaN for null |
| date, datetime | datetime64[us], in UTC | the same, NaT for null |

The declaration alone decides a column's type, never the values that happen to be in it.

A model is judged and served on the same frame: training reads tables, the server has codes, and both go through
`codes_of_column` and `column_of_codes`. A code is a float64: a category's place in model.toml, a number itself, 0 or 1,
the number of a day or moment (lockgate/configuration/moments.py), NaN for null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lockgate.configuration.model import Feature, Model
from lockgate.configuration.moments import KINDS

Codes = npt.NDArray[np.float64]
MICROSECONDS_A_DAY = 86_400_000_000


def frame_of_table(table: pa.Table, model: Model) -> pd.DataFrame:
    """The features of rows that keep the data contract, made column by column: beside the frame nothing else grows."""
    return _frame(
        {
            feature.name: column_of_codes(codes_of_column(table[feature.name], feature), feature)
            for feature in model.features
        }
    )


def codes_of_table(table: pa.Table, model: Model) -> Codes:
    """The same rows as the server hands them to an engine: rows x features."""
    codes = np.empty((table.num_rows, len(model.features)))
    for place, feature in enumerate(model.features):
        codes[:, place] = codes_of_column(table[feature.name], feature)
    return codes


def frame_of_codes(codes: Codes, model: Model) -> pd.DataFrame:
    """The frame of what the server hands to an engine."""
    columns = enumerate(model.features)
    return _frame({feature.name: column_of_codes(codes[:, place], feature) for place, feature in columns})


def frame_of_instances(instances: Sequence[Mapping[str, Any]], model: Model) -> pd.DataFrame:
    """The frame of a request's rows. Raises runtime.serving.rows.Refused."""
    from runtime.serving.rows import Decoder

    batch = Decoder(model).instances(instances)
    return frame_of_codes(np.frombuffer(batch.codes).reshape(batch.rows, len(model.features)), model)


def codes_of_column(column: pa.ChunkedArray, feature: Feature) -> Codes:
    """A column that keeps the data contract as codes, without a Python object a value."""
    if feature.type == "category":
        whole = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        texts = column.cast(pa.int64()).cast(pa.string()) if whole else column
        column = pc.index_in(texts, value_set=pa.array([*feature.values], texts.type))
    elif feature.type == "boolean":
        column = column.cast(pa.int8())
    elif feature.type == "date":
        column = column.cast(pa.date32()).cast(pa.int32())
    elif feature.type == "datetime":
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    codes: Codes = column.cast(pa.float64()).to_numpy()
    return codes


def column_of_codes(codes: Codes, feature: Feature) -> Any:
    """One column of the frame."""
    if feature.type == "category":
        places = np.where(np.isnan(codes), -1, codes).astype(np.int32)
        return pd.Categorical.from_codes(places, dtype=category_type(feature.values), validate=False)
    if feature.type == "integer" and not feature.null_share:
        return codes.astype(np.int64)
    if feature.type == "boolean" and not feature.null_share:
        return codes != 0
    if feature.type in KINDS:
        moments = codes * MICROSECONDS_A_DAY if feature.type == "date" else codes
        nothing = np.isnan(moments)
        column = np.where(nothing, 0, moments).astype(np.int64).view("datetime64[us]")
        column[nothing] = np.datetime64("NaT")
        return column
    return codes


@lru_cache(maxsize=10_000)
def category_type(values: tuple[str, ...]) -> pd.CategoricalDtype:
    """Made once for each list of values: making it costs as much as the rest of a request's column."""
    return pd.CategoricalDtype([*values])


def _frame(columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(columns, copy=False)
