"""LightGBM's own text: trees, and the categories of each column.

The parameters that it writes behind them are left out. They say what the machine had (its number of cores), no
prediction reads them, and two machines shall give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from lockgate.configuration.model import Model

NAME, LIBRARIES = "lightgbm", ("lightgbm", "numpy", "pandas")
FILE = "lightgbm.txt"


class Booster(BaseEstimator):  # type: ignore[misc]
    """Answers as the estimator that was saved, on one thread."""

    def __init__(self, booster: Any, classes: list[Any] | None) -> None:
        self.booster, self.classes = booster, classes
        if classes is not None:
            self.classes_ = np.array(classes)
            self.predict_proba = self._probabilities

    def fit(self, rows: Any, target: Any) -> Booster:
        raise NotImplementedError("it was read from an archive, and only answers")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, rows: Any) -> Any:
        """A number a row; of a classifier the most probable class."""
        if self.classes is not None:
            return self.classes_[self._probabilities(rows).argmax(axis=1)]
        return self.booster.predict(rows, num_threads=1)

    def _probabilities(self, rows: Any) -> Any:
        found = self.booster.predict(rows, num_threads=1)
        return found if found.ndim == 2 else np.column_stack([1.0 - found, found])


def takes(estimator: Any, model: Model) -> bool:
    """A fitted estimator, or what `load` made of one."""
    return isinstance(estimator, Booster) or (
        type(estimator).__module__ == "lightgbm.sklearn" and hasattr(estimator, "booster_")
    )


def save(estimator: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    booster = estimator.booster if isinstance(estimator, Booster) else estimator.booster_
    text = booster.model_to_string()
    trees, _, rest = text.partition("\nparameters:")
    text = trees + rest.partition("end of parameters")[2]
    classes = [value.item() if isinstance(value, np.generic) else value for value in getattr(estimator, "classes_", ())]
    return {"classes": classes or None}, {FILE: text.encode()}


def load(facts: Mapping[str, Any], files: Mapping[str, bytes], model: Model) -> Any:
    import lightgbm

    return Booster(lightgbm.Booster(model_str=files[FILE].decode()), facts["classes"])
