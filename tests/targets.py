"""The declaration that fits an estimator which a test made, whatever it predicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lockgate.configuration.model import Model
from lockgate.tasks.target import Target

WIDE = {"minimum": -1e12, "maximum": 1e12}


def fitting(estimator: Any, model: Model) -> Model:
    """The model with a target of the estimator's classes, or of numbers."""
    if not hasattr(estimator, "predict_proba"):
        return replace(model, target=Target("target", "regression", (), WIDE))
    classes = tuple(estimator.classes_.tolist())
    return replace(model, target=Target("target", "multiclass" if len(classes) > 2 else "binary", classes))
