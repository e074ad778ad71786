"""Whatever a team trains: a faster engine that agrees in every bit serves it, or scikit-learn and a named reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import ensemble, linear_model, naive_bayes, neighbors, svm, tree
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from threadpoolctl import threadpool_limits

from lockgate.configuration.model import Feature, Model
from lockgate.tasks.target import binary
from runtime.artifact import answers, read_artifact, write_artifact
from runtime.frames import codes_of_table, frame_of_table
from runtime.serving.encoded import EncodedEngine
from runtime.serving.engines import EstimatorEngine, choose, walker_candidate
from tests.targets import fitting

COLOURS, SIZES = tuple("abcdefgh"), ("s", "m", "l")
FEATURES = (
    Feature("age", "integer", minimum=0, maximum=99),
    Feature("colour", "category", values=COLOURS),
    Feature("income", "number", minimum=-10, maximum=10, null_share=0.5),
    Feature("size", "category", values=SIZES, null_share=0.5),
)
MODEL = Model("toy", "", "id", binary("target"), (), FEATURES, {}, "", "")
WALKER, ENCODED, ESTIMATOR = "walker", "last step on encoded columns", "estimator"


def answered(estimator: Any, rows: Any) -> Any:
    return answers(estimator, rows, fitting(estimator, MODEL))


def rows_of(seed: int, count: int, colours: tuple[str, ...] = COLOURS) -> Any:
    rng = np.random.default_rng(seed)
    age, colour = rng.integers(0, 100, count), rng.choice(colours, count)
    income = pa.array(rng.normal(size=count).clip(-10, 10), mask=rng.random(count) < 0.2)
    size = pa.array(rng.choice(SIZES, count), mask=rng.random(count) < 0.1)
    return pa.table({"age": age, "colour": colour, "income": income, "size": size})


TRAIN, HOLDOUT = rows_of(1, 400, COLOURS[:-1]), rows_of(2, 200)  # training never sees the last colour
FRAME, SCHEMA = frame_of_table(TRAIN, MODEL), TRAIN.schema
SIGNAL = (FRAME["age"] / 30 + FRAME["colour"].isin(["b", "e"]) * 2).to_numpy() + np.random.default_rng(3).random(400)
TWO, THREE, POSITIVE = (SIGNAL > 2.5).astype(int), np.digitize(SIGNAL, [1.5, 3.5]), np.abs(SIGNAL) + 0.1
WEIGHTS = np.random.default_rng(4).random(400)


def boosted(**options: Any) -> Any:
    """Categories as codes, with missing values left to the trees."""
    codes = OrdinalEncoder(categories=[list(COLOURS), [*SIZES, np.nan]], encoded_missing_value=np.nan)
    encode = ColumnTransformer([("codes", codes, ["colour", "size"])], remainder="passthrough")
    return Pipeline([("encode", encode), ("model", HistGradientBoostingClassifier(**{"max_iter": 8, **options}))])


def regressed(**options: Any) -> Any:
    estimator = boosted()
    return estimator.set_params(model=HistGradientBoostingRegressor(**{"max_iter": 8, **options}))


def plain(model: Any, encoder: Any = None, number: Any = "passthrough") -> Any:
    """Without missing values, which most estimators refuse."""
    encoder = encoder or OneHotEncoder(categories=[list(COLOURS)])
    encode = ColumnTransformer([("codes", encoder, ["colour"]), ("numbers", number, ["age"])], sparse_threshold=0)
    return Pipeline([("encode", encode), ("model", model)])


TREES: dict[str, tuple[Any, Any]] = {
    "two classes by name": (boosted(), np.array(["no", "yes"])[TWO]),
    "forty classes": (boosted(max_iter=2, min_samples_leaf=1), np.arange(400) % 40),
    "stumps": (boosted(max_leaf_nodes=2), TWO),
    "early stopping": (boosted(max_iter=300, early_stopping=True, n_iter_no_change=2), THREE),
    "monotonic": (boosted(monotonic_cst=[0, 0, 1, -1]), TWO),
    "no interactions": (boosted(interaction_cst="no_interactions"), TWO),
    "categories from types": (boosted(categorical_features="from_dtype"), TWO),
    "categorical splits": (boosted(categorical_features=[0, 1]), TWO),
    "categorical splits, three classes": (boosted(categorical_features=[True, True, False, False]), THREE),
    "few bins": (boosted(max_bins=4), TWO),
    "balanced classes": (boosted(class_weight="balanced"), THREE),
    "one leaf": (boosted(min_samples_leaf=400), TWO),
    "absolute error": (regressed(loss="absolute_error"), SIGNAL),
    "quantile": (regressed(loss="quantile", quantile=0.8, categorical_features=[0]), SIGNAL),
    "a constant target": (regressed(), np.ones(400)),
    "poisson": (regressed(loss="poisson"), POSITIVE),
    "poisson, categorical splits": (regressed(loss="poisson", categorical_features=[0, 1]), POSITIVE),
    "gamma": (regressed(loss="gamma", categorical_features=[0, 1]), POSITIVE),
}
OTHERS: dict[str, tuple[Any, Any]] = {
    "forest": (plain(RandomForestClassifier(5, random_state=1)), TWO),
    "forest, two targets": (plain(ensemble.RandomForestRegressor(5, random_state=1)), np.c_[SIGNAL, -SIGNAL]),
    "extra trees": (plain(ensemble.ExtraTreesClassifier(5, random_state=1)), THREE),
    "gradient boosting": (plain(ensemble.GradientBoostingClassifier(n_estimators=5)), THREE),
    "gradient boosting, regression": (plain(ensemble.GradientBoostingRegressor(n_estimators=5)), SIGNAL),
    "ada boost": (plain(ensemble.AdaBoostClassifier(n_estimators=5)), TWO),
    "bagging": (plain(ensemble.BaggingClassifier(n_estimators=3, random_state=1)), TWO),
    "voting": (plain(ensemble.VotingClassifier([("a", LogisticRegression()), ("b", naive_bayes.GaussianNB())],
                                               voting="soft")), TWO),
    "stacking": (plain(ensemble.StackingClassifier([("a", tree.DecisionTreeClassifier(max_depth=2))], cv=2)), TWO),
    "logistic": (plain(LogisticRegression(), number=StandardScaler()), TWO),
    "logistic, three classes": (plain(LogisticRegression(), number=StandardScaler()), THREE),
    "logistic, no intercept": (plain(LogisticRegression(fit_intercept=False)), TWO),
    "logistic, cross-validated": (plain(linear_model.LogisticRegressionCV(cv=2)), TWO),
    "logistic, one against the rest": (plain(OneVsRestClassifier(LogisticRegression())), THREE),
    "logistic, scaled to an interval": (plain(LogisticRegression(), number=MinMaxScaler()), TWO),
    "logistic, scaled twice": (plain(LogisticRegression(), number=make_pipeline(StandardScaler(), StandardScaler())),
                               TWO),
    "logistic, of float32": (plain(LogisticRegression(), OneHotEncoder(categories=[list(COLOURS)], dtype=np.float32),
                             "drop"), TWO),
    "logistic, unknown ignored": (plain(LogisticRegression(), OneHotEncoder(handle_unknown="ignore")), TWO),
    "logistic, rare together": (plain(LogisticRegression(), OneHotEncoder(min_frequency=70,
                                handle_unknown="infrequent_if_exist")), TWO),
    "logistic, categories by target": (plain(LogisticRegression(), TargetEncoder(cv=2, random_state=1)), TWO),
    "forest, unknown as -1": (plain(RandomForestClassifier(5), OrdinalEncoder(handle_unknown="use_encoded_value",
                              unknown_value=-1)), TWO),
    "linear regression, two targets": (plain(linear_model.LinearRegression()), np.c_[SIGNAL, -SIGNAL]),
    "ridge": (plain(Ridge()), SIGNAL),
    "ridge, its target transformed": (plain(TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp)),
                                      POSITIVE),
    "elastic net": (plain(linear_model.ElasticNet()), SIGNAL),
    "poisson regression": (plain(linear_model.PoissonRegressor()), POSITIVE),
    "kernel ridge": (plain(KernelRidge()), SIGNAL),
    "linear SVC": (plain(svm.LinearSVC()), TWO),
    "SVC": (plain(svm.SVC()), TWO),
    "calibrated": (plain(CalibratedClassifierCV(svm.LinearSVC(), cv=2)), TWO),
    "calibrated boosting": (plain(CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=3), cv=2)), THREE),
    "perceptrons": (plain(MLPClassifier((4,), max_iter=5, random_state=1)), TWO),
    "neighbours": (plain(neighbors.KNeighborsClassifier(3)), TWO),
    "a tree": (plain(tree.DecisionTreeClassifier(max_depth=3)), THREE),
    "linear discriminant": (plain(LinearDiscriminantAnalysis()), TWO),
    "quadratic discriminant": (plain(QuadraticDiscriminantAnalysis(reg_param=0.1)), TWO),
    "counts": (plain(naive_bayes.MultinomialNB()), TWO),
    "the prior alone": (plain(DummyClassifier()), TWO),
    "numbers alone": (Pipeline([("encode", ColumnTransformer([("n", "passthrough", [0])])), ("last", Ridge())]),
                      SIGNAL),
    "a pipeline in a pipeline": (Pipeline([("first", "passthrough"), ("last", plain(LogisticRegression()))]), TWO),
    "a thousand classes and more": (plain(LogisticRegression(max_iter=1)), np.arange(1100)),
}  # fmt: skip
KINDS = TREES | OTHERS


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Many small fits: threads would only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def fitted() -> Any:
    """Each estimator, fitted when it is first asked for."""
    found: dict[str, Any] = {}

    def get(kind: str) -> Any:
        if kind not in found:
            estimator, target = KINDS[kind]
            rows = TRAIN if len(target) == 400 else rows_of(5, len(target), COLOURS[:-1])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # few rows and steps do not converge
                weights = {"model__sample_weight": WEIGHTS} if kind in TREES else {}
                found[kind] = estimator.fit(frame_of_table(rows, MODEL), target, **weights)
        return found[kind]

    return get


@pytest.mark.parametrize("kind", KINDS)
def test_every_estimator_is_served_by_an_engine_that_agrees_and_refusals_have_reasons(fitted: Any, kind: str) -> None:
    estimator = fitted(kind)
    facts, files = choose(estimator, fitting(estimator, MODEL), [TRAIN, HOLDOUT])
    name, order = facts["name"], (WALKER, ENCODED, ESTIMATOR)
    assert tuple(facts["refused"]) == order[: order.index(name)]
    assert all(reason.strip() for reason in facts["refused"].values())
    assert facts["largest_difference"] <= (1e-12 if name == WALKER else 0)
    assert (name == WALKER) == bool(files)
    engines: dict[str, Any] = {WALKER: walker_candidate, ENCODED: EncodedEngine, ESTIMATOR: EstimatorEngine}
    engine = engines[name](estimator, fitting(estimator, MODEL))
    engine = engine[0] if name == WALKER else engine
    found = engine.predict(codes_of_table(HOLDOUT, MODEL).tobytes(), 200)
    assert (
        np.abs(np.array(found) - answered(estimator, frame_of_table(HOLDOUT, MODEL))).max()
        <= facts["largest_difference"] * fitting(estimator, MODEL).target.unit
    )


@pytest.mark.parametrize(
    "kind", [kind for kind in TREES if kind not in ("poisson", "poisson, categorical splits", "gamma")]
)
def test_boosted_trees_are_walked_whatever_their_options(fitted: Any, kind: str) -> None:
    assert choose(fitted(kind), fitting(fitted(kind), MODEL), [TRAIN, HOLDOUT])[0]["name"] == WALKER


def test_an_engine_that_breaks_on_a_model_is_refused_with_what_it_said(fitted: Any) -> None:
    class Broken:
        def predict(self, codes: bytes, rows: int) -> list[Any]:
            raise ZeroDivisionError("of its own")

    facts, _ = choose(
        fitted("stumps"), fitting(fitted("stumps"), MODEL), [HOLDOUT], {"broken": lambda *_: (Broken(), None)}
    )
    assert (facts["name"], facts["refused"]) == (ESTIMATOR, {"broken": "ZeroDivisionError: of its own"})


def numbers_near(estimator: Any) -> list[float]:
    """Where a walk decides: each threshold of the incomes, and the numbers beside it."""
    nodes = np.concatenate([tree.nodes for iteration in estimator[-1]._predictors for tree in iteration])
    income = (nodes["feature_idx"] == 3) & (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)
    thresholds = np.unique(nodes["num_threshold"][income])
    near = [thresholds, np.nextafter(thresholds, -np.inf), np.nextafter(thresholds, np.inf)]
    return [number for number in np.concatenate(near).tolist() if -10 <= number <= 10]


@settings(max_examples=30)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["categorical splits", "categorical splits, three classes", "monotonic", "few bins"])
def test_any_row_of_the_contract_is_predicted_as_scikit_learn_does(fitted: Any, kind: str, data: st.DataObject) -> None:
    estimator = fitted(kind)
    incomes = st.none() | st.floats(-10, 10) | st.sampled_from([*numbers_near(estimator), 0.0, -0.0, 5e-324])
    sizes = st.sampled_from([*SIZES, None])
    row = st.fixed_dictionaries(
        {"age": st.integers(0, 99), "colour": st.sampled_from(COLOURS), "income": incomes, "size": sizes}
    )
    rows = pa.Table.from_pylist(data.draw(st.lists(row, min_size=1, max_size=20)), SCHEMA)
    found = walker_candidate(estimator, fitting(estimator, MODEL))[0].predict(
        codes_of_table(rows, MODEL).tobytes(), rows.num_rows
    )
    assert found == answered(estimator, frame_of_table(rows, MODEL)).tolist()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "two targets" not in kind])
def test_every_estimator_is_saved_and_answers_the_same_when_it_was_read(fitted: Any, kind: str) -> None:
    if kind == "a thousand classes and more":
        pytest.skip("its 1,100 classes are about the walker, and take long to save")
    estimator = fitted(kind)
    files = write_artifact(estimator, MODEL, {"name": ESTIMATOR}, {})
    rows = frame_of_table(HOLDOUT, MODEL)
    assert (answered(read_artifact(files, MODEL), rows) == answered(estimator, rows)).all()
