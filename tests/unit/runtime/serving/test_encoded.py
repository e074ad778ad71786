"""Models that the walker cannot take: scikit-learn's last step on columns that tables encode, if all rows agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from lockgate.configuration.model import Feature, Model
from runtime.artifact import score
from runtime.serving.encoded import EncodedEngine
from runtime.serving.engines import choose, codes_of

COLOURS = ("red", "green", "blue")
FEATURES = (Feature("age", "integer", minimum=0, maximum=99), Feature("colour", "category", values=COLOURS))
MODEL = Model("toy", "", "id", "target", (), FEATURES, {}, "", "")
RNG = np.random.default_rng(7)
ROWS = np.array([[float(age), colour] for age, colour in zip(RNG.integers(0, 100, 300), RNG.choice(COLOURS, 300),
                                                             strict=True)], dtype=object)  # fmt: skip
TARGET = (ROWS[:, 0].astype(float) > 50).astype(int) ^ (ROWS[:, 1] == "blue")


def fitted(encoder: Any, last: Any, number: Any = "passthrough") -> Any:
    columns = ColumnTransformer([("codes", encoder, [1]), ("numbers", number, [0])], sparse_threshold=0)
    return Pipeline([("columns", columns), ("last", last)]).fit(ROWS, TARGET)


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
    facts, files = choose(estimator, MODEL, [ROWS])
    assert (facts["name"], facts["largest_difference"], files) == ("scikit-learn on encoded columns", 0.0, {})
    assert list(facts["refused"]) == ["walker"]
    codes = codes_of(ROWS, MODEL)
    engine = EncodedEngine(estimator, MODEL)
    assert engine.predict(codes.tobytes(), len(codes)) == score(estimator, ROWS).tolist()
    assert engine.predict(codes[:1].tobytes(), 1) == score(estimator, ROWS[:1]).tolist()


def test_a_transformer_of_the_teams_own_leaves_the_model_to_scikit_learn() -> None:
    def halved(numbers: Any) -> Any:
        return numbers.astype(float) / 2

    estimator = fitted(OrdinalEncoder(categories=[list(COLOURS)]), forest(), FunctionTransformer(halved))
    facts, files = choose(estimator, MODEL, [ROWS])
    assert (facts["name"], files) == ("scikit-learn", {})
    assert set(facts["refused"]) == {"walker", "scikit-learn on encoded columns"}
