"""The known silent bug of a converter, with the converter itself: skl2onnx and ONNX Runtime in their own environment.

skl2onnx 1.20 converts HistGradientBoosting with categorical features without an error, and wrongly.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from runtime.artifact import answers
from runtime.frames import codes_of_table, frame_of_table
from runtime.serving.encoded import EncodedEngine
from runtime.serving.engines import choose, largest_difference

ROOT = Path(__file__).parents[4]
PYTHON = ROOT / ".venv-onnx" / "bin" / "python"
CONVERTED = """
import sys
import joblib, numpy, onnxruntime
from skl2onnx import to_onnx

estimator, rows = joblib.load(sys.argv[1])
rows = rows.astype(numpy.float32)
model = to_onnx(estimator, rows[:1], options={id(estimator): {"zipmap": False}})
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
numpy.save(sys.argv[2], session.run(None, {session.get_inputs()[0].name: rows})[1])
"""


class Converted:
    """A classifier as ONNX Runtime predicts it after the conversion."""

    def __init__(self, estimator: Any, folder: Path) -> None:
        self._estimator, self._folder = estimator, folder

    def predict_proba(self, rows: Any) -> Any:
        case, found = self._folder / "case.joblib", self._folder / "found.npy"
        joblib.dump((self._estimator, rows), case)
        ended = subprocess.run(
            [PYTHON, "-c", CONVERTED, case, found], capture_output=True, text=True, check=False, cwd=self._folder
        )
        assert ended.returncode == 0, ended.stderr  # the bug is that there is no error
        return np.load(found)


class OnnxEngine(EncodedEngine):
    def __init__(self, estimator: Any, model: Any, folder: Path) -> None:
        super().__init__(estimator, model)
        self._last = Converted(self._last, folder)


@pytest.fixture(scope="module")
def rows(model: Any) -> tuple[Any, Any]:
    """Training rows with their labels, and rows of the holdout."""
    if not PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail(".venv-onnx is missing: `make test` creates it")
        pytest.skip("skl2onnx is not installed: `make test` creates .venv-onnx")
    table = pq.read_table(ROOT / model.train_data).slice(0, 4000)
    holdout = pq.read_table(ROOT / model.holdout_data).slice(0, 4000)
    return table, holdout


def fitted(rows: Any, model: Any, **options: Any) -> Any:
    frame, target = frame_of_table(rows[0], model), rows[0][model.target.name].to_numpy()
    names = list(frame.select_dtypes("category").columns)
    codes = OrdinalEncoder(categories=[list(frame[name].cat.categories) for name in names])
    encode = ColumnTransformer([("codes", codes, names)], remainder="passthrough")
    boosting = HistGradientBoostingClassifier(max_iter=20, early_stopping=False, **options)
    return Pipeline([("encode", encode), ("last", boosting)]).fit(frame, target)


def converted(estimator: Any, model: Any, table: Any, folder: Path) -> Any:
    """What ONNX Runtime predicts for the rows."""
    engine = OnnxEngine(estimator, model, folder)
    return np.array(engine.predict(codes_of_table(table, model).tobytes(), table.num_rows))


def test_the_wrong_conversion_of_categorical_splits_is_found_and_not_served(
    rows: Any, model: Any, tmp_path: Path
) -> None:
    count = sum(feature.type == "category" for feature in model.features)
    estimator = fitted(rows, model, categorical_features=list(range(count)))
    engines = {"ONNX Runtime": lambda estimator, model: (OnnxEngine(estimator, model, tmp_path), None)}
    facts, files = choose(estimator, model, rows, engines)
    assert (facts["name"], files) == ("estimator", {})
    assert facts["refused"]["ONNX Runtime"].startswith("differs from the estimator by 0.")
    found = np.array(
        OnnxEngine(estimator, model, tmp_path).predict(codes_of_table(rows[1], model).tobytes(), len(rows[1]))
    )
    off = (np.abs(found - answers(estimator, frame_of_table(rows[1], model), model)) > 0.01).sum()
    assert off > len(rows[1]) / 10, "the bug is fixed: ONNX Runtime may be tried as an engine"


def test_its_right_conversion_of_numeric_splits_differs_by_float32_only(rows: Any, model: Any, tmp_path: Path) -> None:
    estimator = fitted(rows, model)
    found = np.array(
        OnnxEngine(estimator, model, tmp_path).predict(codes_of_table(rows[1], model).tobytes(), len(rows[1]))
    )
    assert 0 < largest_difference(found, answers(estimator, frame_of_table(rows[1], model), model)) < 1e-6
