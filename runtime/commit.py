"""What the commit brings: its model folders, beside this package in the image."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

from lockgate.configuration.model import Model, model_named, read_models

FOLDER = Path(__file__).resolve().parent.parent / "model"


def declared_model(name: str) -> Model:
    """The model of that name in this image. Raises ConfigError."""
    return model_named(read_models(FOLDER), name)


def training_module(model: Model) -> ModuleType:
    """model/<name>/train.py: a function `train(rows, target, model)` and the types a saved estimator may contain.

    From here on the process imports no other model's folder, since a delivery trains no model for a change there.
    """
    others = {f"model.{file.parent.name}" for file in FOLDER.glob("*/model.toml")} - {f"model.{model.name}"}
    sys.meta_path[:] = [found for found in sys.meta_path if not isinstance(found, _OtherModels)]
    sys.meta_path.insert(0, _OtherModels(model.name, others))
    return importlib.import_module(f"model.{model.name}.train")


class _OtherModels(MetaPathFinder):
    """Refuses the imports of other models' folders."""

    def __init__(self, model: str, others: set[str]) -> None:
        self._model = model
        self._others = others

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in self._others:
            raise ImportError(
                f"model {self._model}: found an import of {name}, which is another model's folder, expected what "
                "models share in a folder of model/ without a model.toml: a change there is delivered for each of them"
            )
