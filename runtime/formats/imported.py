"""A model that was trained elsewhere, from the file that a team committed: never fitted here, and never unpickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lockgate import canonical
from lockgate.configuration.imported import LIGHTGBM, SKOPS, XGBOOST, Imported, imported_format
from lockgate.configuration.model import Model
from lockgate.errors import ConfigError, LockgateError
from runtime.formats import lightgbm, scikit_learn, xgboost


def imported_estimator(model: Model, imported: Imported, models: Path) -> Any:
    """What the file in model/<name>/ holds, as an estimator that answers. Raises ConfigError."""
    where, file = f"model/{model.name}/model.toml", models / model.name / imported.file
    library = imported_format(imported.file)
    content = file.read_bytes() if file.is_file() else b""
    found = canonical.sha256(content)
    if found != imported.sha256:
        said = found if content else "no such file"
        raise ConfigError(where, f"imported.file: SHA-256 of {imported.file}", said, imported.sha256)
    try:
        return LOADERS[library](content, model)
    except LockgateError:
        raise
    except Exception as error:  # whatever a library makes of a file that is damaged or another's
        said = f"{type(error).__name__}: {error}"[:300]
        raise ConfigError(where, "imported.file", said, f"a model that {library} reads") from error


def _of_xgboost(content: bytes, model: Model) -> Any:
    facts = {"class": "XGBClassifier" if model.target.classes else "XGBRegressor"}
    return xgboost.load(facts, {xgboost.FILE: content}, model)


def _of_lightgbm(content: bytes, model: Model) -> Any:
    classes = list(range(len(model.target.classes))) or None  # a Booster knows classes by their places
    return lightgbm.load({"classes": classes}, {lightgbm.FILE: content}, model)


def _of_skops(content: bytes, model: Model) -> Any:
    return scikit_learn.load({}, {scikit_learn.FILE: content}, model)


LOADERS: Mapping[str, Callable[[bytes, Model], Any]] = {
    XGBOOST: _of_xgboost,
    LIGHTGBM: _of_lightgbm,
    SKOPS: _of_skops,
}
