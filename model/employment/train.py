"""Is a person employed? Gradient boosting over coded census answers.

A team replaces this file. It needs a function `train` and the names of the types, beyond those skops knows to be
safe, that a saved estimator may contain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from lockgate.configuration.model import Model

# A forged TreePredictor could crash the process that predicts; the archive's digest is verified before it is loaded.
TRUSTED = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


def train(rows: npt.NDArray[np.object_], target: npt.NDArray[np.int64], model: Model) -> Pipeline:
    """Fit on rows x features in declared order: texts for categories, floats for numbers; target is 0 or 1.

    The categories come from model.toml and not from the rows, so a category that training happens not to see is no
    surprise later.
    """
    categories = [index for index, feature in enumerate(model.features) if feature.type == "category"]
    codes = OrdinalEncoder(categories=[list(model.features[index].values) for index in categories])
    parameters = dict(model.parameters)
    boosting = HistGradientBoostingClassifier(
        random_state=parameters.pop("seed"),
        early_stopping=False,  # would split off rows by itself
        **parameters,
    )
    encode = ColumnTransformer([("codes", codes, categories)], remainder="passthrough")
    return Pipeline([("encode", encode), ("boosting", boosting)]).fit(rows, target)
