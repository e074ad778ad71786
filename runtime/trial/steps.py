"""The real steps of a pipeline on a sample, in this process: prepare, train, predict, evaluate.

One fold stands for the holdout: its rows are training rows, and no file of a holdout is read.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lockgate import canonical
from lockgate.configuration.model import Model
from lockgate.data.snapshot import Manifest, Part
from runtime.evaluate import evaluate
from runtime.groups import group_columns
from runtime.job import Job
from runtime.predict import predict
from runtime.prepare import prepare
from runtime.train import train

IMAGE = "1.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "0" * 64


def run_steps(root: Path, train_rows: pa.Table, other: pa.Table, model: Model) -> tuple[dict[str, bytes], bytes]:
    """(the files of the saved model, the evidence as the evaluator wrote it). Raises what a step raises."""
    snapshot = root / "snapshot"
    manifest = _publish(snapshot, train_rows, other, model)
    settings = {"MODEL": model.name, "SNAPSHOT": manifest.id, "COMMIT": "0" * 40, "IMAGE": IMAGE}
    settings |= {"EXECUTION": "lockgate try", "ACTOR": "lockgate try"}

    def job(step: str, **inputs: Path) -> Job:
        for name, source in inputs.items():
            target = root / step / "processing" / "input" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.mkdir()
                shutil.copy(source, target)
        return Job(root / step, settings)

    first = job("prepare", snapshot=snapshot / "data")
    prepare(first)
    prepared = first.outputs / "prepared"
    shutil.copytree(prepared, root / "train" / "input" / "data" / "train")
    train(Job(root / "train", settings))
    files = _files(root / "train" / "model")
    archive = root / "model.tar.gz"
    archive.write_bytes(_packed(files))
    predicting = job("predict", model=archive, prepared=prepared)
    predict(predicting)
    last = job(
        "evaluate",
        snapshot=snapshot / "data",
        labels=snapshot / "labels",
        model=archive,
        predictions=predicting.outputs / "predictions",
    )
    evaluate(last)
    return files, (last.outputs / "evidence" / "evidence.json").read_bytes()


def _publish(folder: Path, train_rows: pa.Table, other: pa.Table, model: Model) -> Manifest:
    """Folders as `lockgate snapshot` fills the buckets; training rows may lack an attribute that is no feature."""
    named = group_columns(other, model)
    labels_of = other.select([model.identifier, model.target.name])
    for name, column in named.items():
        labels_of = labels_of.append_column(name, column)
    features = [feature.name for feature in model.features]
    columns = {
        "data/train/train.parquet": (train_rows, [*model.training_columns]),
        "data/holdout/features.parquet": (other, [model.identifier, *features]),
        "labels/labels.parquet": (labels_of, labels_of.column_names),
    }
    parts = []
    for name, (table, chosen) in columns.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.select(chosen), folder / name)
        parts.append(Part(canonical.sha256((folder / name).read_bytes()), table.num_rows))
    train, holdout, labels = parts
    protected = tuple(name for name in model.protected if name in (*features, *named))
    manifest = Manifest(
        model.name, model.identifier, model.target, tuple(features), protected, train, holdout, labels, {}
    )
    (folder / "data" / "manifest.json").write_bytes(manifest.to_bytes())
    return manifest


def _files(folder: Path) -> dict[str, bytes]:
    found = sorted(each for each in folder.rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in found}


def _packed(files: Mapping[str, bytes]) -> bytes:
    written: Any = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    packed: bytes = written.getvalue()
    return packed
