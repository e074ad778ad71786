"""From a fitted scikit-learn estimator to a program of the walker, or a reason why not.

Encoders are not translated: each is asked what it makes of every declared category, so a table holds its own answers.
What is not known here is refused; scikit-learn itself then serves the model.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lockgate.configuration.model import Model
from runtime.serving.program import COLUMN, MOST_COLUMNS, NODE, SET_BYTES, TREE, Program

Floats = npt.NDArray[np.float64]


class NotConvertible(Exception):  # noqa: N818 - a reason, not a failure
    """Why the walker cannot take this estimator."""


@dataclass(frozen=True)
class NumberColumn:
    """A column that is a feature's number, scaled: (value - subtract) / divide."""

    feature: int
    subtract: float = 0.0
    divide: float = 1.0


@dataclass(frozen=True)
class CategoryColumn:
    """A column that depends on one category only: `values` of each declared category in order, and of null."""

    feature: int
    values: npt.NDArray[Any]
    null: Any


Column = NumberColumn | CategoryColumn


def program_of(estimator: Any, model: Model) -> Program:
    """Raises NotConvertible."""
    columns, last = columns_of(estimator, model)
    return _final(last, columns, len(model.features))


def columns_of(estimator: Any, model: Model) -> tuple[list[Column], Any]:
    """The columns that the last step sees, and that step. Raises NotConvertible."""
    columns = [_declared(index, model) for index in range(len(model.features))]
    for transformer, last in _steps(estimator):
        if last:
            return columns, transformer
        columns = _transformed(transformer, columns)
    raise NotConvertible("an estimator without steps")


def _declared(index: int, model: Model) -> Column:
    feature = model.features[index]
    if feature.type == "boolean":  # of the frame's own type: encoders and scalers are asked about its two values
        nullable = feature.null_share > 0
        return CategoryColumn(index, np.array([0.0, 1.0] if nullable else [False, True]), np.nan if nullable else ...)
    if feature.type != "category":
        return NumberColumn(index)
    return CategoryColumn(index, np.array(feature.values, dtype=object), None if feature.null_share > 0 else ...)


def _steps(estimator: Any) -> list[tuple[Any, bool]]:
    steps = [step for _, step in estimator.steps] if type(estimator).__name__ == "Pipeline" else [estimator]
    return [(step, step is steps[-1]) for step in steps]


def _transformed(transformer: Any, columns: Sequence[Column]) -> list[Column]:
    """The columns after a transformer that treats each column by itself."""
    if transformer is None or isinstance(transformer, str):
        if transformer in (None, "passthrough"):
            return list(columns)
        raise NotConvertible(f"transformer {transformer!r}")
    name = type(transformer).__name__
    known: dict[str, Callable[[Any, Sequence[Column]], list[Column]]] = {
        "ColumnTransformer": _column_transformer,
        "Pipeline": _pipeline,
        "OrdinalEncoder": _encoder,
        "OneHotEncoder": _encoder,
        "StandardScaler": _scaler,
        "FunctionTransformer": _function,
    }
    if name not in known or not type(transformer).__module__.startswith("sklearn."):
        raise NotConvertible(f"transformer {name}: the walker knows {', '.join(known)}")
    return known[name](transformer, columns)


def _pipeline(pipeline: Any, columns: Sequence[Column]) -> list[Column]:
    found = list(columns)
    for _, step in pipeline.steps:
        found = _transformed(step, found)
    return found


def _column_transformer(transformer: Any, columns: Sequence[Column]) -> list[Column]:
    made: list[Column] = []
    for name, inner, _ in transformer.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        places = transformer._transformer_to_input_indices[name]  # however they were chosen: names, types, a mask
        found = _transformed(inner, [columns[place] for place in places])
        where = transformer.output_indices_[name]
        if (where.start, where.stop) != (len(made), len(made) + len(found)):
            raise NotConvertible(f"ColumnTransformer: {name} gives other columns than expected")
        made += found
    return made


def _function(transformer: Any, columns: Sequence[Column]) -> list[Column]:
    """Only the check that HistGradientBoosting puts before its numbers, and the identity."""
    function = getattr(transformer.func, "func", transformer.func)  # of functools.partial(check_array, ...)
    if function is None or getattr(function, "__name__", None) == "check_array":
        return list(columns)
    raise NotConvertible("FunctionTransformer with a function of its own")


def _scaler(scaler: Any, columns: Sequence[Column]) -> list[Column]:
    made: list[Column] = []
    for index, column in enumerate(columns):
        mean = float(scaler.mean_[index]) if scaler.with_mean else 0.0
        scale = float(scaler.scale_[index]) if scaler.with_std else 1.0
        if isinstance(column, CategoryColumn):
            values = (column.values.astype(np.float64) - mean) / scale
            null = column.null if column.null is ... else (float(column.null) - mean) / scale
            made.append(CategoryColumn(column.feature, values, null))
        elif (column.subtract, column.divide) != (0.0, 1.0):
            raise NotConvertible("a number scaled twice")
        else:
            made.append(NumberColumn(column.feature, mean, scale))
    return made


def _encoder(encoder: Any, columns: Sequence[Column]) -> list[Column]:
    """Ask the fitted encoder about every category of every column at once; short columns repeat their first."""
    categories = [column for column in columns if isinstance(column, CategoryColumn)]
    if len(categories) != len(columns):
        raise NotConvertible(f"{type(encoder).__name__} of a number")
    lists = [[*column.values, *([] if column.null is ... else [column.null])] for column in categories]
    longest = max(map(len, lists))
    filled = [values + [values[0]] * (longest - len(values)) for values in lists]
    try:
        answer = encoder.transform(_probe(filled, encoder))
    except (ValueError, TypeError) as error:
        raise NotConvertible(f"{type(encoder).__name__} refuses a declared category: {error}") from error
    answer = answer.toarray() if hasattr(answer, "toarray") else np.asarray(answer)
    made: list[Column] = []
    for column, width in zip(categories, _widths(encoder, len(columns)), strict=True):
        for values in answer[:, len(made) : len(made) + width].T.astype(np.float64):
            count = len(column.values)
            made.append(CategoryColumn(column.feature, values[:count], ... if column.null is ... else values[count]))
    return made


def _probe(lists: Sequence[Sequence[Any]], encoder: Any) -> Any:
    """Columns of these values, by name where the encoder was fitted so: there they are of the frame's own types."""
    names = getattr(encoder, "feature_names_in_", None)
    if names is None:
        return np.array(lists, dtype=object).T
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype="category") for name, values in zip(names, lists, strict=True)})


def _widths(encoder: Any, columns: int) -> list[int]:
    if type(encoder).__name__ == "OrdinalEncoder":
        return [1] * columns
    return [int(width) for width in encoder._n_features_outs]


def _final(estimator: Any, columns: Sequence[Column], features: int) -> Program:
    name = type(estimator).__name__
    if len(columns) > MOST_COLUMNS:
        raise NotConvertible(f"{len(columns)} columns, the walker takes {MOST_COLUMNS}")
    if type(estimator).__module__.startswith("sklearn."):
        if name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
            return _trees(estimator, columns, features)
        if name in ("LogisticRegression", "LinearRegression", "Ridge"):
            return _linear(estimator, columns, features)
    raise NotConvertible(f"estimator {name}: the walker knows HistGradientBoosting and linear models")


def _linear(estimator: Any, columns: Sequence[Column], features: int) -> Program:
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    outputs = len(coefficients)
    classifies = hasattr(estimator, "classes_")
    return Program(
        features=features,
        width=len(columns),
        outputs=outputs,
        link="identity" if not classifies else "logistic" if outputs == 1 else "softmax",
        linear=True,
        **_columns(columns),
        nodes=b"",
        leaves=b"",
        trees=b"",
        sets=b"",
        baseline=np.broadcast_to(np.asarray(estimator.intercept_, dtype="<f8"), (outputs,)).tobytes(),
        coefficients=np.ascontiguousarray(coefficients, dtype="<f8").tobytes(),
    )


def _trees(estimator: Any, columns: Sequence[Column], features: int) -> Program:
    link = {"HalfBinomialLoss": "logistic", "HalfMultinomialLoss": "softmax"}.get(type(estimator._loss).__name__)
    if link is None and type(estimator._loss.link).__name__ == "IdentityLink":
        link = "identity"
    if link is None:
        raise NotConvertible(f"loss {type(estimator._loss).__name__}")
    if estimator._preprocessor is not None:
        columns = _transformed(estimator._preprocessor, columns)
    known, place = estimator._bin_mapper.make_known_categories_bitsets()
    nodes, leaves, trees, sets = bytearray(), bytearray(), bytearray(), bytearray()
    for predictor in (predictor for iteration in estimator._predictors for predictor in iteration):
        root, first_set = len(nodes) // NODE.size, len(sets) // SET_BYTES
        trees += TREE.pack(root, first_set)
        for own, (node, left) in enumerate(_side_by_side(predictor.nodes), start=root):
            leaves += struct.pack("<d", node["value"] if node["is_leaf"] else 0.0)
            if node["is_leaf"]:
                nodes += NODE.pack(np.inf, own, 0, 1)
                continue
            kind = int(node["missing_go_to_left"])
            if node["is_categorical"]:
                if not isinstance(columns[node["feature_idx"]], CategoryColumn):
                    raise NotConvertible("a categorical split of a number")
                kind |= (len(sets) // SET_BYTES - first_set + 1) << 1
                goes_left = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
                if node["missing_go_to_left"]:  # an unknown category goes where a missing one goes
                    goes_left = goes_left | ~known[place[node["feature_idx"]]]
                sets += goes_left.astype("<u4").tobytes()
            nodes += NODE.pack(node["num_threshold"], root + left, node["feature_idx"], kind)
    baseline = np.asarray(estimator._baseline_prediction, dtype="<f8").reshape(-1)
    return Program(
        features=features,
        width=len(columns),
        outputs=len(baseline),
        link=link,
        linear=False,
        **_columns(columns),
        nodes=bytes(nodes),
        leaves=bytes(leaves),
        trees=bytes(trees),
        sets=bytes(sets),
        baseline=baseline.tobytes(),
        coefficients=b"",
    )


def _side_by_side(nodes: Any) -> Iterator[tuple[Any, int]]:
    """Each node of a tree with the new place of its left child; level by level, so that siblings are neighbours."""
    order = [0]
    for index in order:  # grows while it is read
        left = len(order)
        if not nodes[index]["is_leaf"]:
            order += [int(nodes[index]["left"]), int(nodes[index]["right"])]
        yield nodes[index], left


def _columns(columns: Sequence[Column]) -> dict[str, bytes]:
    packed, entries = bytearray(), 0
    tables: list[Floats] = []
    for column in columns:
        if isinstance(column, NumberColumn):
            packed += COLUMN.pack(column.subtract, column.divide, column.feature, 0, 0, 0)
            continue
        null = np.nan if column.null is ... else column.null
        try:
            values = np.append(column.values, null).astype("<f8")
        except (ValueError, TypeError) as error:
            raise NotConvertible("a category that no encoder made a number") from error
        packed += COLUMN.pack(0.0, 1.0, column.feature, entries, len(values) - 1, 0)
        entries += len(values)
        tables.append(values)
    return {"columns": bytes(packed), "tables": b"".join(table.tobytes() for table in tables)}
