"""XGBoost's own binary JSON, which its estimators write and read themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lockgate.configuration.model import Model
from lockgate.errors import EvidenceError

NAME, LIBRARIES = "xgboost", ("numpy", "pandas", "xgboost-cpu")
FILE = "xgboost.ubj"


def takes(estimator: Any, model: Model) -> bool:
    return type(estimator).__module__ == "xgboost.sklearn"


def save(estimator: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        estimator.save_model(file)
        return {"class": type(estimator).__name__}, {FILE: file.read_bytes()}


def load(facts: Mapping[str, Any], files: Mapping[str, bytes], model: Model) -> Any:
    import xgboost

    kind = getattr(xgboost, str(facts.get("class")), None)
    if not (isinstance(kind, type) and issubclass(kind, xgboost.XGBModel)):
        raise EvidenceError(f"model.json: format: found {facts.get('class')!r}, expected an estimator of XGBoost")
    estimator = kind(n_jobs=1)
    estimator.load_model(bytearray(files[FILE]))  # in whichever of its two forms: an imported one may be in JSON
    return estimator
