"""The prediction step: a score for every row of the holdout, whose labels this container never sees."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from runtime import commit
from runtime.archive import read_archive
from runtime.artifact import read_artifact, score
from runtime.frames import matrix_of_table, read_parquet
from runtime.job import Job
from runtime.serving.engines import codes_of
from runtime.serving.model_data import engine_of


def predict(job: Job) -> None:
    """Write predictions.parquet: the identifier; `score`, what the engine that serves answers; `reference`, what
    scikit-learn answers. Both are the probability of target 1 as float64.

    Raises ConfigError, EvidenceError (the archive is not a model of this image) or DataContractError.
    """
    model = commit.declared_model(job.setting("MODEL"))
    files = read_archive(job.read("model/model.tar.gz"))
    holdout = read_parquet(job.inputs / "prepared" / "holdout.parquet", "holdout")
    rows = matrix_of_table(holdout, model)
    reference = score(read_artifact(files, model, commit.training_module(model).TRUSTED), rows)
    found = engine_of(files, model).predict(codes_of(rows, model).tobytes(), len(rows))
    folder = job.outputs / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    columns = {model.identifier: holdout[model.identifier], "score": found, "reference": reference}
    pq.write_table(pa.table(columns), folder / "predictions.parquet")
