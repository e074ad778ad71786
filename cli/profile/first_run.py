"""A first run of the model that was written: what it predicts for training rows that it did not see.

A second version of the same recipe, from four fifths of the rows, shows how far two versions that are equally good
disagree: a rule that compares with the champion must let such a version pass.
"""

from __future__ import annotations

import importlib.util
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
from runtime.groups import group_columns
from runtime.tasks.arrays import arrays_of
from runtime.trial.cross_validation import Train, cross_validated

MOST_ROWS = 12_000  # of a first run: it looks for the size of a number, and not for its last digit
KEPT = 4  # of five rows, by which the second version is trained


@dataclass(frozen=True)
class FirstRun:
    """Rows that were predicted, by two versions of the recipe; no model saw the rows that it predicted.

    table: with the names of groups in place of a protected number.
    """

    table: pa.Table
    truth: npt.NDArray[Any]
    one: npt.NDArray[np.float64]
    other: npt.NDArray[np.float64]


def first_run(train: Train, model: Model, table: pa.Table) -> FirstRun:
    """table: training rows, of which no more than MOST_ROWS are taken, evenly. Folds keep entities and time.

    A fold whose training lacks a class, as of one with a single row, measures nothing.
    """
    if table.num_rows > MOST_ROWS:
        table = table.take(np.linspace(0, table.num_rows - 1, MOST_ROWS).astype(np.int64))
    truth = arrays_of(model.target).truth(table[model.target.name], model.target)
    folds = [
        (known, known[np.arange(len(known)) % (KEPT + 1) != KEPT], asked) for known, asked in folds_of(table, model)
    ]
    classes = max(2, len(model.target.classes))
    whole = [each for each in folds if all(len(np.unique(truth[rows])) >= classes for rows in each[:2])]
    if not whole:
        raise RefusedError(
            f"target {model.target.name}: found no fold with a row of each class, expected some: merge them"
        )
    with threadpool_limits(limits=1):
        one, other = (
            cross_validated(table, model, train, [(fold[version], fold[2]) for fold in whole]) for version in (0, 1)
        )
    for name, column in group_columns(table, model).items():
        table = table.set_column(table.column_names.index(name), name, column)
    return FirstRun(table.take(one.places), truth[one.places], one.predictions, other.predictions)


def recipe(folder: Path) -> Train:
    """The function `train` of a model's folder, which need not lie in the project yet."""
    spec = importlib.util.spec_from_file_location(f"model.{folder.name}.train", folder / "train.py")
    if spec is None or spec.loader is None:
        raise ConfigError(f"model/{folder.name}/train.py", "file", "nothing to run", "a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Train = module.train
    return found
