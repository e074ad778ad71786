"""Which of ten species is it? A forest over named columns; of a day it takes the day of the year."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from lockgate.configuration.model import Model


def train(rows: pd.DataFrame, target: pd.Series, model: Model) -> Any:
    """Fit on named columns: numbers, a category with nulls, a day."""
    encode = ColumnTransformer(
        [
            ("numbers", "passthrough", ["length", "width"]),
            ("site", OneHotEncoder(handle_unknown="ignore"), ["site"]),
            ("seen", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["seen"]),
        ]
    )
    parameters = dict(model.parameters)
    forest = RandomForestClassifier(random_state=parameters.pop("seed"), **parameters)
    return Pipeline([("encode", encode), ("forest", forest)]).fit(rows, target)
