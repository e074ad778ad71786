"""What a team's `train` may return, saved in the format of its library and read again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC

from lockgate import canonical
from lockgate.configuration.model import Feature, Model
from lockgate.errors import ConfigError, EvidenceError
from lockgate.tasks.target import binary
from runtime import formats
from runtime.artifact import answers, places_of_classes, read_artifact, refuse_without_probabilities, write_artifact
from runtime.frames import frame_of_table
from runtime.serving.engines import EstimatorEngine, choose
from runtime.serving.model_data import engine_of
from tests.targets import fitting

COLOURS = ("red", "green", "blue")
FEATURES = (
    Feature("age", "integer", minimum=0, maximum=99),
    Feature("colour", "category", values=COLOURS, null_share=0.5),
)
MODEL = Model("toy", "", "id", binary("target"), (), FEATURES, {}, "", "")
RNG = np.random.default_rng(1)
TABLE = pa.table(
    {"age": RNG.integers(0, 100, 500), "colour": pa.array(RNG.choice(COLOURS, 500), mask=RNG.random(500) < 0.1)}
)
ROWS = frame_of_table(TABLE, MODEL)
TWO = ((ROWS["age"] > 50) ^ (ROWS["colour"] == "blue")).astype(int)
NAMES = TWO.map({0: "no", 1: "yes"})
THREE = ROWS["age"] // 34
MONEY = ROWS["age"] * 100.0
QUIET = {"n_estimators": 5, "verbose": -1, "n_jobs": 1, "deterministic": True, "force_row_wise": True}
SMALL = {"n_estimators": 5, "n_jobs": 1, "enable_categorical": True}


def in_pipeline(last: Any) -> Pipeline:
    codes = OneHotEncoder(categories=[[*COLOURS, np.nan]])
    return Pipeline(
        [("encode", ColumnTransformer([("hot", codes, ["colour"])], remainder="passthrough")), ("last", last)]
    )


ESTIMATORS: dict[str, tuple[Any, Any, str]] = {
    "LightGBM": (lightgbm.LGBMClassifier(**QUIET), TWO, "lightgbm"),
    "LightGBM of named classes": (lightgbm.LGBMClassifier(**QUIET), NAMES, "lightgbm"),
    "LightGBM of three classes": (lightgbm.LGBMClassifier(**QUIET), THREE, "lightgbm"),
    "LightGBM, regression": (lightgbm.LGBMRegressor(**QUIET), MONEY, "lightgbm"),
    "LightGBM in a pipeline": (in_pipeline(lightgbm.LGBMRegressor(**QUIET)), MONEY, "lightgbm"),
    "XGBoost": (xgboost.XGBClassifier(**SMALL), TWO, "xgboost"),
    "XGBoost of three classes": (xgboost.XGBClassifier(**SMALL), THREE, "xgboost"),
    "XGBoost, regression": (xgboost.XGBRegressor(**SMALL), MONEY, "xgboost"),
    "XGBoost in a pipeline": (in_pipeline(xgboost.XGBClassifier(**SMALL)), TWO, "xgboost"),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # LightGBM names columns of an array itself
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_what_a_library_saves_answers_the_same_and_is_served(kind: str) -> None:
    estimator, target, name = ESTIMATORS[kind]
    estimator.fit(ROWS, target)
    read = formats.load(*formats.save(estimator, MODEL), MODEL)
    model = fitting(estimator, MODEL)
    facts, files = choose(read, model, [TABLE, TABLE])
    saved = write_artifact(estimator, model, facts, files)
    assert canonical.from_bytes(saved["model.json"], "model.json")["format"]["name"] == name
    assert {"lightgbm": "lightgbm.txt", "xgboost": "xgboost.ubj"}[name] in saved
    assert (answers(read_artifact(saved, model), ROWS, model) == answers(estimator, ROWS, model)).all()
    codes = np.column_stack([ROWS["age"], ROWS["colour"].cat.codes.replace(-1, np.nan)]).astype(float)
    assert engine_of(saved, model).predict(codes.tobytes(), 500) == answers(estimator, ROWS, model).tolist()


@pytest.mark.parametrize("kind", ["LightGBM", "XGBoost"])
def test_two_trainings_save_the_same_bytes_whatever_the_cores(kind: str) -> None:
    estimator, target, _ = ESTIMATORS[kind]
    saved = formats.save(estimator.fit(ROWS, target), MODEL)
    again = formats.save(estimator.set_params(n_jobs=2).fit(ROWS, target), MODEL)
    assert saved == again


RULES = '''
import json

class Rules:
    """Whoever is older than a limit."""

    def __init__(self, limit):
        self.limit = limit

    def predict_proba(self, rows):
        import numpy as np
        found = (rows["age"] > self.limit).to_numpy().astype(float)
        return np.column_stack([1 - found, found])

    def save(self, folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "limit.json").write_text(json.dumps(self.limit))

    @classmethod
    def load(cls, folder):
        return cls(json.loads((folder / "deep" / "limit.json").read_text()))

class Forgetful(Rules):
    def save(self, folder):
        return

class Unsaved:
    def predict(self, rows):
        return rows["age"]
'''


@pytest.fixture
def own() -> Iterator[Any]:
    """The module model.toy.rules of a team."""
    module = ModuleType("model.toy.rules")
    sys.modules[module.__name__] = module
    exec(RULES, module.__dict__)  # noqa: S102
    yield module
    del sys.modules[module.__name__]


def test_a_class_of_the_teams_own_is_saved_and_read_by_itself(own: Any) -> None:
    facts, files = choose(own.Rules(50), MODEL, [TABLE])
    assert (facts["name"], files) == ("estimator", {})
    saved = write_artifact(own.Rules(50), MODEL, facts, files)
    assert sorted(saved) == ["model.json", "saved/deep/limit.json"]
    assert read_artifact(saved, MODEL).limit == 50
    assert isinstance(engine_of(saved, MODEL), EstimatorEngine)


def test_a_class_that_saves_nothing_is_refused(own: Any) -> None:
    with pytest.raises(ConfigError, match=r"Forgetful\.save: found 'no file'"):
        formats.save(own.Forgetful(50), MODEL)


def test_a_class_outside_the_models_folder_is_never_made(own: Any) -> None:
    saved = write_artifact(own.Rules(50), MODEL, {"name": "estimator"}, {})
    facts = canonical.from_bytes(saved["model.json"], "model.json")
    facts["format"] |= {"module": "subprocess", "class": "Popen"}
    with pytest.raises(EvidenceError, match=r"expected a class of model/toy/"):
        read_artifact({**saved, "model.json": canonical.to_bytes(facts)}, MODEL)


@pytest.mark.parametrize("name", ["pickle", None])
def test_a_format_that_is_not_known_is_refused(own: Any, name: object) -> None:
    saved = write_artifact(own.Rules(50), MODEL, {"name": "estimator"}, {})
    facts = canonical.from_bytes(saved["model.json"], "model.json")
    facts["format"] = {"name": name}
    with pytest.raises(EvidenceError, match="expected one of"):
        read_artifact({**saved, "model.json": canonical.to_bytes(facts)}, MODEL)


def test_what_no_format_takes_is_refused_with_the_ways_that_there_are(own: Any) -> None:
    for estimator in (own.Unsaved(), lightgbm.train({"verbose": -1}, lightgbm.Dataset(ROWS, MONEY), 1), object()):
        with pytest.raises(ConfigError, match=r"save\(folder\) and load\(folder\)"):
            formats.save(estimator, MODEL)


def test_a_class_of_another_models_folder_is_refused(own: Any) -> None:
    with pytest.raises(ConfigError, match=r"model/other/train\.py"):
        formats.save(own.Rules(50), replace(MODEL, name="other"))


def test_a_classifier_without_probabilities_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"SVC, a classifier without predict_proba.*CalibratedClassifierCV"):
        refuse_without_probabilities(SVC(), MODEL)
    with pytest.raises(ConfigError, match="without predict_proba"):
        refuse_without_probabilities(Pipeline([("last", SVC())]), MODEL)


class Of:
    def __init__(self, *classes: Any) -> None:
        if classes:
            self.classes_ = np.array(classes)

    def predict_proba(self, rows: Any) -> Any:
        return np.full((len(rows), 3), 1 / 3)


def test_columns_of_probabilities_follow_the_declared_classes() -> None:
    assert places_of_classes(Of("high", "low"), ("low", "high"), MODEL) == [1, 0]
    assert places_of_classes(Of(0, 1, 2), ("low", "mid", "high"), MODEL) == [0, 1, 2], "as XGBoost wants them"
    assert places_of_classes(Of(False, True), (False, True), MODEL) == [0, 1]
    assert places_of_classes(Of(), ("low", "high"), MODEL) == [0, 1]
    with pytest.raises(ConfigError, match="an estimator of the classes"):
        places_of_classes(Of("low"), ("low", "high"), MODEL)
    with pytest.raises(ConfigError, match="without predict_proba"):
        places_of_classes(object(), ("low", "high"), MODEL)


def test_probabilities_of_more_or_fewer_classes_than_declared_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected 2 probabilities a row, one for each class"):
        answers(Of(), ROWS, MODEL)


def test_the_folder_of_a_saved_class_is_gone_after_it_was_read(own: Any) -> None:
    seen: list[Path] = []
    own.Rules.load = classmethod(lambda cls, folder: seen.append(folder) or cls(1))
    formats.load(*formats.save(own.Rules(50), MODEL), MODEL)
    assert not seen[0].exists()
