"""Is a person employed? Gradient boosting over coded census answers.

A team replaces this file. It needs a function `train`, which returns anything with predict_proba or predict.
"""

from __future__ import annotations

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from lockgate.configuration.model import Model


def train(rows: pd.DataFrame, target: pd.Series[int], model: Model) -> Pipeline:
    """Fit on the declared features by name: columns of type `category` for categories, numbers for the others.

    The categories come from model.toml and not from the rows, so a category that training happens not to see is no
    surprise later. A missing value of a category becomes a missing code, which boosting knows how to take.
    """
    names = list(rows.select_dtypes("category").columns)
    codes = OrdinalEncoder(
        categories=[list(rows[name].cat.categories) for name in names],
        handle_unknown="use_encoded_value",
        unknown_value=float("nan"),
    )
    parameters = dict(model.parameters)
    boosting = HistGradientBoostingClassifier(
        random_state=parameters.pop("seed"),
        early_stopping=False,  # would split off rows by itself
        **parameters,
    )
    encode = ColumnTransformer([("codes", codes, names)], remainder="passthrough")
    return Pipeline([("encode", encode), ("boosting", boosting)]).fit(rows, target)
