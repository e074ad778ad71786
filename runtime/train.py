"""The training step: the team's `train` on the prepared rows, saved so that the same inputs give the same bytes.

A model that was trained elsewhere is saved as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from lockgate.configuration.model import Model
from lockgate.errors import ConfigError
from runtime import commit, formats, threshold
from runtime.artifact import answers, refuse_without_probabilities, write_artifact
from runtime.columns import read_columns
from runtime.folds import folds_of
from runtime.formats.imported import imported_estimator
from runtime.frames import frame_of_table
from runtime.job import Job
from runtime.serving.engines import choose
from runtime.tasks.arrays import arrays_of

COMPARED = 1000  # rows


def train(job: Job) -> None:
    """Read the channel `train`, write the model folder. Raises ConfigError or DataContractError.

    The features of the holdout, which have no labels, only decide which engine may serve the model.

    Fits on one thread: the order of additions, and what estimators note of the machine, must not depend on its cores.
    """
    model = commit.declared_model(job.setting("MODEL"))
    channel = job.root / "input" / "data" / "train"
    table, holdout = (
        read_columns(channel / "train.parquet", "train"),
        read_columns(channel / "holdout.parquet", "holdout"),
    )
    target = table[model.target.name].to_pandas()
    with threadpool_limits(limits=1):
        if model.imported:
            trained = imported_estimator(model, model.imported, commit.FOLDER)
        else:
            trained = commit.training_module(model).train(frame_of_table(table, model), target, model)
        refuse_without_probabilities(trained, model)
        estimator = formats.load(*formats.save(trained, model), model)  # what is judged and served is what was saved
        _refuse_other_answers(trained, estimator, frame_of_table(table.slice(0, COMPARED), model), model)
        engine, files = choose(estimator, model, [table, holdout])
        if engine["bounds"] is None:
            _refuse_other_predictions(estimator, table, model)
        decides = _threshold(table, model)
    folder = job.root / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in write_artifact(trained, model, engine, files, decides).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _threshold(table: pa.Table, model: Model) -> float | None:
    """The declared threshold, or the one that fits scores of rows by models of other rows, as `train` makes them."""
    declared, target = model.threshold, model.target
    if declared is None or declared.by == "value":
        return declared.number if declared else None
    column, rows = table[target.name].to_pandas(), frame_of_table(table, model)
    labels, team = arrays_of(target).truth(table[target.name], target), commit.training_module(model)

    def scored(train: Any, other: Any) -> Any:
        estimator = team.train(
            rows.iloc[train].reset_index(drop=True), column.iloc[train].reset_index(drop=True), model
        )
        return answers(estimator, rows.iloc[other].reset_index(drop=True), model)

    costs = target.numbers.get("false_positive", 1.0), target.numbers.get("false_negative", 1.0)
    return threshold.fitted_out_of_fold(declared, labels, folds_of(table, model), scored, costs)


def _refuse_other_predictions(estimator: Any, table: pa.Table, model: Model) -> None:
    """What the evaluator would refuse is said before anything else is run."""
    found = answers(estimator, frame_of_table(table.slice(0, COMPARED), model), model)
    wrong = arrays_of(model.target).unfit(found, model.target) or f"found predictions of shape {found.shape[1:]}"
    raise ConfigError(
        f"model/{model.name}/train.py", "train", f"{type(estimator).__name__}: {wrong}", "other predictions"
    )


def _refuse_other_answers(trained: Any, read: Any, rows: Any, model: Model) -> None:
    """What `save` forgets, nobody would see in training: the estimator that is judged would answer other things."""
    if not np.array_equal(answers(trained, rows, model), answers(read, rows, model), equal_nan=True):
        raise ConfigError(
            f"model/{model.name}/train.py",
            "train",
            f"{type(trained).__name__}, which answers otherwise after it was saved and read",
            f"the same answers on the first {len(rows)} rows, so that what was trained is judged",
        )
