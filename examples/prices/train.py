"""What does a house sell for? LightGBM, which takes categories as they are."""

from __future__ import annotations

from typing import Any

import pandas as pd
from lightgbm import LGBMRegressor

from lockgate.configuration.model import Model


def train(rows: pd.DataFrame, target: pd.Series, model: Model) -> Any:
    """One thread, and deterministic: the same rows give the same bytes."""
    parameters = dict(model.parameters)
    return LGBMRegressor(
        random_state=parameters.pop("seed"), n_jobs=1, deterministic=True, verbose=-1, **parameters
    ).fit(rows, target)
