"""Models that the walker cannot take: scikit-learn's last step on columns that tables encode, if all rows agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from lockgate.configuration.model import Feature, Model
from lockgate.tasks.target import binary
from runtime.artifact import answers
from runtime.frames import codes_of_table, frame_of_table
from runtime.serving.encoded import EncodedEngine
from runtime.serving.engines import choose
from tests.targets import fitting

COLOURS = ("red", "green", "blue")
FEATURES = (Feature("age", "integer", minimum=0, maximum=99), Feature("colour", "category", values=COLOURS))
MODEL = Model("toy", "", "id", binary("target"), (), FEATURES, {}, "", "")
RNG = np.random.default_rng(7)
ROWS = pa.table({"age": RNG.integers(0, 100, 300), "colour": RNG.choice(COLOURS, 300)})
FRAME = frame_of_table(ROWS, MODEL)
TARGET = (FRAME["age"] > 50) ^ (FRAME["colour"] == "blue")


def fitted(encoder: Any, last: Any, number: Any = "passthrough") -> Any:
    columns = ColumnTransformer([("codes", encoder, ["colour"]), ("numbers", number, ["age"])], sparse_threshold=0)
    return Pipeline([("columns", columns), ("last", last)]).fit(FRAME, TARGET)


def forest() -> Any:
    return RandomForestClassifier(n_estimators=5, random_state=1)


@pytest.mark.parametrize(
    "estimator",
    [
        fitted(OrdinalEncoder(categories=[list(COLOURS)]), forest()),
        fitted(OneHotEncoder(categories=[list(COLOURS)]), forest(), StandardScaler()),
        fitted(OneHotEncoder(categories=[list(COLOURS)]), GaussianNB(), StandardScaler()),
    ],
)
def test_it_is_chosen_where_it_agrees_in_every_bit_and_the_walker_cannot_take_the_model(estimator: Any) -> None:
    facts, files = choose(estimator, fitting(estimator, MODEL), [ROWS])
    assert (facts["name"], facts["largest_difference"], files) == ("last step on encoded columns", 0.0, {})
    assert list(facts["refused"]) == ["walker"]
    codes = codes_of_table(ROWS, MODEL)
    engine = EncodedEngine(estimator, fitting(estimator, MODEL))
    assert engine.predict(codes.tobytes(), len(codes)) == answers(estimator, FRAME, fitting(estimator, MODEL)).tolist()
    assert engine.predict(codes[:1].tobytes(), 1) == answers(estimator, FRAME[:1], fitting(estimator, MODEL)).tolist()


def test_a_transformer_of_the_teams_own_leaves_the_model_to_scikit_learn() -> None:
    def halved(numbers: Any) -> Any:
        return numbers.astype(float) / 2

    estimator = fitted(OrdinalEncoder(categories=[list(COLOURS)]), forest(), FunctionTransformer(halved))
    facts, files = choose(estimator, fitting(estimator, MODEL), [ROWS])
    assert (facts["name"], files) == ("estimator", {})
    assert set(facts["refused"]) == {"walker", "last step on encoded columns"}
