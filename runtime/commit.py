"""What the commit brings: its model folders, beside this package in the image."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from lockgate.configuration.model import Model, model_named, read_models

FOLDER = Path(__file__).resolve().parent.parent / "model"


def declared_model(name: str) -> Model:
    """The model of that name in this image. Raises ConfigError."""
    return model_named(read_models(FOLDER), name)


def training_module(model: Model) -> ModuleType:
    """model/<name>/train.py: a function `train(rows, target, model)` and the types a saved estimator may contain."""
    return importlib.import_module(f"model.{model.name}.train")
