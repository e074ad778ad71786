"""A first run of the model that was written: what it predicts for training rows that it did not see.

A second version of the same recipe, from four fifths of the rows, shows how far two versions that are equally good
disagree: a rule that compares with the champion must let such a version pass.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits

from lockgate.configuration.model import Model
from lockgate.errors import ConfigError, RefusedError
from runtime.folds import folds_of
from runtime.frames import frame_of_table
from runtime.tasks.arrays import arrays_of

MOST_ROWS = 12_000  # of a first run: it looks for the size of a number, and not for its last digit
Train = Callable[[Any, Any, Model], Any]


@dataclass(frozen=True)
class FirstRun:
    """Rows that were predicted, by two versions of the recipe; no model saw the rows that it predicted."""

    table: pa.Table
    truth: npt.NDArray[Any]
    one: npt.NDArray[np.float64]
    other: npt.NDArray[np.float64]


def first_run(train: Train, model: Model, table: pa.Table) -> FirstRun:
    """table: training rows, of which no more than MOST_ROWS are taken, evenly. Folds keep entities and time."""
    if table.num_rows > MOST_ROWS:
        table = table.take(np.linspace(0, table.num_rows - 1, MOST_ROWS).astype(np.int64))
    column = table[model.target.name]
    truth, labels = arrays_of(model.target).truth(column, model.target), column.to_pandas()
    rows, outputs = frame_of_table(table, model), model.target.outputs
    found = [np.full((len(rows), outputs), np.nan) for _ in range(2)]
    with threadpool_limits(limits=1):
        for known, asked in folds_of(table, model):
            for version, chosen in enumerate((known, known[np.arange(len(known)) % 5 != 4])):
                if len(np.unique(truth[chosen])) > 1:
                    fitted = train(
                        rows.iloc[chosen].reset_index(drop=True), labels.iloc[chosen].reset_index(drop=True), model
                    )
                    found[version][asked] = answered(fitted, rows.iloc[asked].reset_index(drop=True), model)
    both = ~np.isnan(found[0]).any(axis=1) & ~np.isnan(found[1]).any(axis=1)
    if len(np.unique(truth[both])) < 2:
        raise RefusedError(f"target {model.target.name}: found one value in the rows that folds measure, expected more")
    one, other = (each[both] if outputs > 1 else each[both, 0] for each in found)
    return FirstRun(table.filter(pa.array(both)), truth[both], one, other)


def answered(fitted: Any, rows: Any, model: Model) -> npt.NDArray[np.float64]:
    """Rows x outputs. A fold may lack a rare class, whose probability is then 0."""
    target = model.target
    if not target.classes:
        ends = target.numbers["minimum"], target.numbers["maximum"]
        return np.clip(np.asarray(fitted.predict(rows), dtype=np.float64), *ends).reshape(-1, 1)
    given = np.zeros((len(rows), len(target.classes)))
    known = [each.item() if isinstance(each, np.generic) else each for each in fitted.classes_]
    given[:, [list(target.classes).index(each) for each in known]] = fitted.predict_proba(rows)
    return given[:, -1:] if target.outputs == 1 else given


def recipe(folder: Path) -> Train:
    """The function `train` of a model's folder, which need not lie in the project yet."""
    spec = importlib.util.spec_from_file_location(f"model.{folder.name}.train", folder / "train.py")
    if spec is None or spec.loader is None:
        raise ConfigError(f"model/{folder.name}/train.py", "file", "nothing to run", "a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Train = module.train
    return found
