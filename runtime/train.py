"""The training step: the team's `train` on the prepared rows, saved so that the same inputs give the same bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from runtime import commit
from runtime.artifact import write_artifact
from runtime.columns import read_columns
from runtime.frames import frame_of_table
from runtime.job import Job
from runtime.serving.engines import choose


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
    target = pd.Series(table[model.target].to_numpy().astype(np.int64), name=model.target)
    team = commit.training_module(model)
    with threadpool_limits(limits=1):
        estimator = team.train(frame_of_table(table, model), target, model)
        engine, files = choose(estimator, model, [table, holdout])
    folder = job.root / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in write_artifact(estimator, model, engine, files).items():
        (folder / name).write_bytes(content)
