"""An engine serves only if it agrees with scikit-learn on every row; a wrong one is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from lockgate.configuration.model import Feature, Model
from lockgate.errors import EvidenceError
from lockgate.tasks.target import binary
from runtime.artifact import answers
from runtime.frames import codes_of_table, frame_of_table
from runtime.serving import walker
from runtime.serving.convert import program_of
from runtime.serving.engines import (
    EstimatorEngine,
    choose,
    largest_difference,
    walker_candidate,
)
from runtime.serving.program import Program, read_program
from tests.targets import fitting

COLOURS, SIZES = tuple("abcdefgh"), ("s", "m", "l")
FEATURES = (
    Feature("age", "integer", minimum=0, maximum=99),
    Feature("colour", "category", values=COLOURS),
    Feature("income", "number", minimum=-10, maximum=10, null_share=0.5),
    Feature("size", "category", values=SIZES),
)
MODEL = Model("toy", "", "id", binary("target"), (), FEATURES, {}, "", "")


def rows_of(seed: int, count: int) -> Any:
    rng = np.random.default_rng(seed)
    age, colour = rng.integers(0, 100, count), rng.choice(COLOURS, count)
    income = pa.array(rng.normal(size=count).clip(-10, 10), mask=rng.random(count) < 0.2)
    return pa.table({"age": age, "colour": colour, "income": income, "size": rng.choice(SIZES, count)})


TRAIN, HOLDOUT = rows_of(1, 1500), rows_of(2, 700)
FRAME = frame_of_table(TRAIN, MODEL)
SIGNAL = FRAME["age"] / 30 + FRAME["colour"].isin(["b", "e", "h"]) * 2 + FRAME["income"].fillna(0)
CLASSES = {2: (SIGNAL > 2.5).astype(int), 3: np.digitize(SIGNAL, [1.5, 3.5])}


def encoded(final: Any) -> Pipeline:
    codes = OrdinalEncoder(categories=[list(COLOURS), list(SIZES)])
    encode = ColumnTransformer([("codes", codes, ["colour", "size"])], remainder="passthrough")
    return Pipeline([("encode", encode), ("model", final)])


def one_hot(final: Any) -> Pipeline:
    encode = ColumnTransformer(
        [("hot", OneHotEncoder(drop="first"), ["colour", "size"]), ("scaled", StandardScaler(), ["age"])],
        remainder="drop",
    )
    return Pipeline([("encode", encode), ("model", final)])


def boosting(**options: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5, early_stopping=False, **options)


KINDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "binary, numeric splits": (lambda: encoded(boosting()), CLASSES[2]),
    "binary, categorical splits": (lambda: encoded(boosting(categorical_features=[0, 1])), CLASSES[2]),
    "three classes, categorical splits": (lambda: encoded(boosting(categorical_features=[0, 1])), CLASSES[3]),
    "regression, categorical splits": (
        lambda: encoded(HistGradientBoostingRegressor(max_iter=20, categorical_features=[0])),
        SIGNAL,
    ),
}
LINEAR: dict[str, tuple[Callable[[], Any], Any]] = {
    "logistic regression": (lambda: one_hot(LogisticRegression()), CLASSES[2]),
    "logistic regression, three classes": (lambda: one_hot(LogisticRegression()), CLASSES[3]),
    "ridge": (lambda: one_hot(Ridge()), SIGNAL),
}


@pytest.mark.parametrize("kind", KINDS)
def test_trees_agree_with_scikit_learn_in_every_bit_of_every_row(kind: str) -> None:
    make, target = KINDS[kind]
    estimator = make().fit(FRAME, target)
    facts, files = choose(estimator, fitting(estimator, MODEL), [TRAIN, HOLDOUT])
    distribution, bounds = facts.pop("holdout_scores"), facts.pop("bounds")
    assert facts == {"name": "walker", "rows": 2200, "largest_difference": 0.0, "refused": {}}
    assert sum(distribution) == 700
    assert bounds == sorted(set(bounds))
    assert read_program(files["walker.bin"]) == program_of(estimator, MODEL)


@pytest.mark.parametrize("kind", LINEAR)
def test_linear_models_agree_but_for_the_order_of_additions(kind: str) -> None:
    make, target = LINEAR[kind]
    estimator = make().fit(FRAME, target)
    facts, _ = choose(estimator, fitting(estimator, MODEL), [TRAIN, HOLDOUT])
    assert facts["name"] == "walker"
    assert facts["largest_difference"] < 1e-12


@pytest.mark.parametrize("kind", [*KINDS, *LINEAR])
def test_a_row_is_predicted_the_same_alone_and_among_others(kind: str) -> None:
    make, target = (KINDS | LINEAR)[kind]
    estimator = make().fit(FRAME, target)
    engine, _ = walker_candidate(estimator, fitting(estimator, MODEL))
    codes = codes_of_table(HOLDOUT, MODEL)
    together = engine.predict(codes.tobytes(), len(codes))
    assert [engine.predict(row.tobytes(), 1)[0] for row in codes] == together


def test_a_conversion_that_takes_categories_for_numbers_is_caught() -> None:
    """What skl2onnx 1.20 does with the categorical splits of HistGradientBoosting, without an error."""
    estimator = KINDS["binary, categorical splits"][0]().fit(FRAME, CLASSES[2])

    def like_skl2onnx(estimator: Any, model: Model) -> Any:
        nodes = [predictor.nodes for iteration in estimator[-1]._predictors for predictor in iteration]
        kept = [each["is_categorical"].copy() for each in nodes]
        for each in nodes:
            each["is_categorical"] = 0
        try:
            return walker_candidate(estimator, model)
        finally:
            for each, before in zip(nodes, kept, strict=True):
                each["is_categorical"] = before

    facts, files = choose(estimator, fitting(estimator, MODEL), [TRAIN, HOLDOUT], {"walker": like_skl2onnx})
    assert (facts["name"], files) == ("estimator", {})
    assert "differs from the estimator by 0." in facts["refused"]["walker"]


def test_an_engine_that_is_wrong_in_the_last_bit_of_one_row_is_caught() -> None:
    estimator = KINDS["binary, numeric splits"][0]().fit(FRAME, CLASSES[2])

    class Off:
        def predict(self, codes: bytes, rows: int) -> list[Any]:
            found = walker_candidate(estimator, fitting(estimator, MODEL))[0].predict(codes, rows)
            found[-1] = np.nextafter(found[-1], 2)
            return found

    facts, _ = choose(
        estimator,
        fitting(estimator, MODEL),
        [TRAIN, HOLDOUT],
        {"walker": lambda *given: (Off(), walker_candidate(*given)[1])},
    )
    assert facts["name"] == "estimator"
    assert "allowed is 0" in facts["refused"]["walker"]


@pytest.mark.parametrize("found", [np.array([0.5, np.nan]), np.array([0.5]), np.array([[0.5, 0.5]])])
def test_what_cannot_be_compared_is_infinitely_different(found: Any) -> None:
    assert largest_difference(found, np.array([0.5, 0.5])) == float("inf")


def test_a_model_that_the_walker_does_not_know_is_served_by_scikit_learn_itself() -> None:
    estimator = encoded(RandomForestClassifier(10, random_state=1))
    estimator[0].set_params(remainder="drop")
    estimator.fit(FRAME, CLASSES[2])
    facts, files = choose(estimator, fitting(estimator, MODEL), [TRAIN, HOLDOUT], {"walker": walker_candidate})
    assert (facts["name"], files) == ("estimator", {})
    assert facts["refused"]["walker"].startswith("estimator RandomForestClassifier")
    engine = EstimatorEngine(estimator, fitting(estimator, MODEL))
    assert (
        engine.predict(codes_of_table(HOLDOUT, MODEL).tobytes(), 700)
        == answers(estimator, frame_of_table(HOLDOUT, MODEL), fitting(estimator, MODEL)).tolist()
    )


def test_where_nobody_compiled_the_walker_scikit_learn_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.serving.engines.library", lambda: None)
    estimator = KINDS["binary, numeric splits"][0]().fit(FRAME, CLASSES[2])
    facts, _ = choose(estimator, fitting(estimator, MODEL), [HOLDOUT], {"walker": walker_candidate})
    assert (facts["name"], facts["refused"]) == ("estimator", {"walker": "it was not compiled here"})


@pytest.fixture(scope="module")
def program() -> Program:
    return program_of(KINDS["binary, categorical splits"][0]().fit(FRAME, CLASSES[2]), MODEL)


@settings(max_examples=400)
@given(data=st.data())
def test_a_damaged_program_is_refused_or_stays_inside_itself(program: Program, data: st.DataObject) -> None:
    """Whatever bytes change, the walker never reads outside: a crash here would end the whole test run."""
    damaged = bytearray(program.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_program(bytes(damaged))
    except EvidenceError:
        return
    compiled = walker.library()
    assert compiled is not None
    if found.features == 4:
        walker.Walker(found, compiled).predict(codes_of_table(HOLDOUT[:9], MODEL).tobytes(), 9)


@pytest.mark.parametrize("length", [0, 5, 17, 18, 40, 400])
def test_a_program_that_was_cut_short_is_refused(program: Program, length: int) -> None:
    with pytest.raises(EvidenceError, match="no program of the walker"):
        read_program(program.to_bytes()[:length])
