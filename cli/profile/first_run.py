"""A first run of the model that was written: what it predicts for training rows that it did not see.

A second version of the same recipe, from four fifths of the rows, shows how far two versions that are equally good
disagree: a rule that compares with the champion must let such a version pass.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits

from lockgate.configuration.model import Model
from lockgate.errors import ConfigError
from runtime.frames import frame_of_table
from runtime.tasks.arrays import arrays_of

FOLDS = 4
MOST_ROWS = 12_000  # of a first run: it looks for the size of a number, and not for its last digit
Train = Callable[[Any, Any, Model], Any]
Folds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FirstRun:
    """Rows that were predicted, by two versions of the recipe; no model saw the rows that it predicted."""

    table: pa.Table
    truth: npt.NDArray[Any]
    one: npt.NDArray[np.float64]
    other: npt.NDArray[np.float64]


def first_run(train: Train, model: Model, table: pa.Table, entity: str, time: str) -> FirstRun:
    """table: training rows, of which no more than MOST_ROWS are taken, evenly."""
    if table.num_rows > MOST_ROWS:
        table = table.take(np.linspace(0, table.num_rows - 1, MOST_ROWS).astype(np.int64))
    keys = [repr(each) for each in table[entity or model.identifier].to_pylist()]
    fold = forward(table[time]) if time else at_random(keys)
    column = table[model.target.name]
    truth, labels, rows = (
        arrays_of(model.target).truth(column, model.target),
        column.to_pandas(),
        frame_of_table(table, model),
    )
    outputs = model.target.outputs
    found = [np.full((len(rows), outputs), np.nan) for _ in range(2)]
    with threadpool_limits(limits=1):
        for each in range(fold.max() + 1):
            before = np.flatnonzero(fold < each if time else fold != each)
            asked = np.flatnonzero(fold == each)
            for version, chosen in enumerate((before, before[np.arange(len(before)) % 5 != 4])):
                if len(asked) and len(set(truth[chosen].tolist())) > 1:
                    fitted = train(
                        rows.iloc[chosen].reset_index(drop=True), labels.iloc[chosen].reset_index(drop=True), model
                    )
                    found[version][asked] = answered(fitted, rows.iloc[asked].reset_index(drop=True), model)
    known = ~np.isnan(found[0]).any(axis=1) & ~np.isnan(found[1]).any(axis=1)
    one, other = (each[known] if outputs > 1 else each[known, 0] for each in found)
    return FirstRun(table.filter(pa.array(known)), truth[known], one, other)


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


def at_random(keys: list[str]) -> Folds:
    """Keys that are equal are in one fold, which is the same in every run."""
    order = sorted(set(keys), key=lambda key: sha256(f"fold{key}".encode()).digest())
    fold = {key: place % FOLDS for place, key in enumerate(order)}
    return np.array([fold[key] for key in keys], dtype=np.int64)


def forward(column: pa.ChunkedArray) -> Folds:
    """Folds that follow each other in time, each with as many rows; rows of one moment are in one."""
    values = column.cast(pa.int32()).to_numpy() if pa.types.is_date(column.type) else column.to_numpy()
    first = np.searchsorted(np.sort(values), values, side="left")
    found: Folds = first * (FOLDS + 1) // len(values)
    return found


def recipe(folder: Path) -> Train:
    """The function `train` of a model's folder, which need not lie in the project yet."""
    spec = importlib.util.spec_from_file_location(f"model.{folder.name}.train", folder / "train.py")
    if spec is None or spec.loader is None:
        raise ConfigError(f"model/{folder.name}/train.py", "file", "nothing to run", "a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Train = module.train
    return found
