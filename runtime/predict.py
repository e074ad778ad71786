"""The prediction step: a score for every row of the holdout, whose labels this container never sees."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from lockgate.config import Model
from runtime import commit
from runtime.archive import read_archive
from runtime.artifact import Estimator, read_artifact, score
from runtime.frames import matrix_of_table, read_parquet
from runtime.job import Job


def predict(job: Job) -> None:
    """Write predictions.parquet: the identifier and `score`, the probability of target 1 as float64.

    Raises ConfigError, EvidenceError (the archive is not a model of this image) or DataContractError.
    """
    model = commit.declared_model(job.setting("MODEL"))
    estimator = load(model, job.read("model/model.tar.gz"))
    holdout = read_parquet(job.inputs / "prepared" / "holdout.parquet", "holdout")
    scores = score(estimator, matrix_of_table(holdout, model))
    folder = job.outputs / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({model.identifier: holdout[model.identifier], "score": scores})
    pq.write_table(table, folder / "predictions.parquet")


def load(model: Model, archive: bytes) -> Estimator:
    """The estimator of a model archive. Raises EvidenceError."""
    return read_artifact(read_archive(archive), model, commit.training_module(model).TRUSTED)
