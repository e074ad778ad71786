"""What a recipe is worth on rows that it was not trained on, without a holdout: cross-validation on training rows.

It measures the recipe, `train` of model/<name>/train.py, and no single model: each fold has a model of its own. So two
recipes are compared in the same folds, each fitted anew, and never with a model that has seen these rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lockgate.configuration.model import Model
from lockgate.errors import ConfigError
from runtime import threshold
from runtime.artifact import answers
from runtime.folds import Fold, Places
from runtime.frames import frame_of_table
from runtime.tasks.arrays import ModelAnswers, Predictions, Truth, arrays_of

Train = Callable[[Any, Any, Model], Any]

FEW = 2_000  # rows: fewer are not sampled
QUARTER = FEW // 4


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for rows by models of other rows. places: of these rows in the table, in the order of predictions."""

    places: Places
    predictions: Predictions

    def answers(self, truth: Truth, model: Model) -> ModelAnswers:
        """With the threshold that training would fit to such predictions; truth: of these rows."""
        declared, target = model.threshold, model.target
        if declared is None or declared.by == "value":
            return ModelAnswers(self.predictions, declared.number if declared else None)
        costs = target.numbers.get("false_positive", 1.0), target.numbers.get("false_negative", 1.0)
        return ModelAnswers(self.predictions, threshold.fitted(declared, truth, self.predictions, costs))


def cross_validated(table: pa.Table, model: Model, train: Train, folds: Sequence[Fold]) -> OutOfFold:
    """A model for each fold, and what it answers for the fold's other rows. Raises ConfigError for unfit answers."""
    rows, target = frame_of_table(table, model), table[model.target.name].to_pandas()
    found = []
    for fitted_on, other in folds:
        estimator = train(_taken(rows, fitted_on), _taken(target, fitted_on), model)
        found.append(answers(estimator, _taken(rows, other), model))
    predictions = np.concatenate(found)
    wrong = arrays_of(model.target).unfit(predictions, model.target)
    if wrong:
        raise ConfigError(f"model/{model.name}/train.py", "train", wrong, "other predictions")
    return OutOfFold(np.concatenate([other for _, other in folds]), predictions)


def rows_that_fit(table: pa.Table, model: Model, train: Train, *, fits: float, seconds: float) -> int:
    """About how many rows can be fitted `fits` times in so many seconds; all of them where they are few.

    A model is fitted to 500 and to 2,000 rows, and the time is taken to grow as it grew between the two, at least as
    the rows do.
    """
    if table.num_rows <= FEW:
        return int(table.num_rows)
    order = np.random.default_rng(1).permutation(table.num_rows)[:FEW]
    small, larger = (_seconds_of_fit(table.take(order[:count]), model, train) for count in (QUARTER, FEW))
    power = min(3.0, max(1.0, math.log(larger / small, 4)))
    return int(min(table.num_rows, max(FEW, FEW * (seconds / (fits * larger)) ** (1 / power))))


def _seconds_of_fit(table: pa.Table, model: Model, train: Train) -> float:
    rows, target = frame_of_table(table, model), table[model.target.name].to_pandas()
    start = time.perf_counter()
    train(rows, target, model)
    return time.perf_counter() - start


def _taken(rows: Any, places: Places) -> Any:
    return rows.iloc[places].reset_index(drop=True)
