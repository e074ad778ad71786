"""The prediction steps: a score for every row of the holdout, whose labels these containers never see."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lockgate.errors import LockgateError
from runtime import commit
from runtime.archive import read_archive
from runtime.artifact import answers, read_artifact
from runtime.columns import read_columns
from runtime.frames import codes_of_table, frame_of_table
from runtime.job import NOTE, NOTHING_SERVED, Job
from runtime.serving.model_data import engine_of


def predict(job: Job) -> None:
    """Write predictions.parquet: the identifier; `score`, what the engine that serves answers; `reference`, what the
    estimator itself answers. Of several classes there is a column for each: `score_0`, `reference_0` and so on.

    Raises ConfigError, EvidenceError (the archive is not a model of this image) or DataContractError.
    """
    _predict(job, job.inputs / "prepared" / "holdout.parquet", job.outputs / "predictions")


def predict_as_champion(job: Job) -> None:
    """The same by the image of the version that is served, for a commit that wants to take its place.

    It reads the published features, which the commit's prepare step could have changed. Where nothing is served, or the
    champion cannot predict these rows, it leaves a note instead: that the champion is outdated must not stop a commit.
    Whatever else goes wrong here, the pipeline's definition turns into such a note: this image may be an old one.
    """
    folder = job.outputs / "champion"
    folder.mkdir(parents=True, exist_ok=True)
    if not (job.inputs / "model" / "model.tar.gz").is_file():
        (folder / NOTE).write_text(f"{NOTHING_SERVED}\n")
        return
    try:
        _predict(job, job.inputs / "snapshot" / "holdout" / "features.parquet", folder)
    except LockgateError as error:
        sys.stderr.write(f"{error}\n")
        (folder / NOTE).write_text(f"{error}\n")


def _predict(job: Job, rows: Path, folder: Path) -> None:
    model = commit.declared_model(job.setting("MODEL"))
    files = read_archive(job.read("model/model.tar.gz"))
    holdout = read_columns(rows, "holdout")
    reference = answers(read_artifact(files, model), frame_of_table(holdout, model), model)
    answered = engine_of(files, model).predict(codes_of_table(holdout, model).tobytes(), holdout.num_rows)
    found = np.asarray(answered)
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"score": found, "reference": reference}
    several = {f"{name}_{place}": each[:, place] for name, each in columns.items() if each.ndim == 2
               for place in range(each.shape[1])}  # fmt: skip
    table = {model.identifier: holdout[model.identifier], **(several or columns)}
    pq.write_table(pa.table(table), folder / "predictions.parquet")
