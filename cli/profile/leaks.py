"""Columns that know the target: a copy of it, or one that nearly says it alone, also by where it is empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cli.profile.columns import distinct
from lockgate.tasks.classes import MOST_CLASSES

SAMPLE = 4000  # rows that a single column is tried on
SURE = 0.995  # of ROC AUC, balanced accuracy or R2: more than one column alone should know
LEAVES = 64
FEWEST = 20  # rows: with fewer, everything predicts everything


@dataclass(frozen=True)
class Leak:
    """A column that knows the target. copy: whether each of its values says exactly one target, and back."""

    name: str
    copy: bool
    found: str


def leaks(columns: pa.Table, target: pa.ChunkedArray) -> tuple[Leak, ...]:
    """Every leak among columns that have the target's rows. The sample is the first and the last rows and between."""
    rows = len(target)
    if rows < FEWEST:
        return ()
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, SAMPLE)).astype(np.int64))
    numbers = pa.types.is_floating(target.type) or distinct(target) > MOST_CLASSES
    truth = _codes(target.take(chosen))
    found = []
    for name, column in zip(columns.column_names, columns.columns, strict=True):
        if distinct(column) < 2 and not column.null_count:
            continue
        if _is_copy(column, target):
            found.append(Leak(name, True, "each of its values says one value of the target, and back"))
            continue
        score, what = _alone(_codes(column.take(chosen)), truth, numbers)
        if score >= SURE:
            found.append(Leak(name, False, f"alone it predicts the target with {what} {score:.4f}"))
    return tuple(found)


def _is_copy(column: pa.ChunkedArray, target: pa.ChunkedArray) -> bool:
    """One to one, with more than one value; a unique column says nothing of a target that is as unique as it is."""
    different = distinct(column) + (column.null_count > 0)
    if different != distinct(target) or different < 2:
        return False
    pairs = pa.table({"column": column, "target": target}).group_by(["column", "target"]).aggregate([])
    if pairs.num_rows != different:
        return False
    return different * 2 <= len(target) or _is_monotone(pairs)


def _is_monotone(pairs: pa.Table) -> bool:
    """Where nearly every row has a value of its own, one to one says nothing; the same order does."""
    if pa.types.is_string(pairs["column"].type) or pairs["column"].null_count:
        return False
    values = pairs["target"].take(pc.sort_indices(pairs["column"])).to_numpy()
    steps = np.diff(values)
    return bool((steps > 0).all() or (steps < 0).all())


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """A column as numbers, with null below all others."""
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        order = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), dtype=object).astype(str)))
        indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        found = np.where(indices < 0, -1.0, order[indices] if len(order) else -1.0)
        return found.astype(np.float64)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: Any = column.cast(pa.float64(), safe=False).to_numpy()
    present = values[np.isfinite(values)]
    return np.where(np.isfinite(values), values, (present.min() if len(present) else 0.0) - 1.0)


def _alone(column: npt.NDArray[np.float64], truth: npt.NDArray[np.float64], numbers: bool) -> tuple[float, str]:
    """How well a small tree of this column alone predicts rows that it did not see: (score, of which metric)."""
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    half = np.random.default_rng(0).permutation(len(truth)) % 2 == 0
    rows = column.reshape(-1, 1)
    if numbers:
        grown = DecisionTreeRegressor(max_leaf_nodes=4 * LEAVES, random_state=0).fit(rows[half], truth[half])
        spread = truth[~half].var()
        return (float(1 - ((grown.predict(rows[~half]) - truth[~half]) ** 2).mean() / spread) if spread else 0.0), "R2"
    classes = np.unique(truth)
    if any((truth[part] == each).sum() == 0 for part in (half, ~half) for each in classes):
        return 0.0, ""
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=2, random_state=0).fit(
        rows[half], truth[half]
    )
    if len(classes) == 2:
        return float(roc_auc_score(truth[~half] == classes[1], tree.predict_proba(rows[~half])[:, 1])), "a ROC AUC of"
    return float(balanced_accuracy_score(truth[~half], tree.predict(rows[~half]))), "a balanced accuracy of"
