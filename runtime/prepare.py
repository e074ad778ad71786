"""The first step of a pipeline: is this the snapshot that was published, and do its rows keep the data contract?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa

from lockgate import canonical
from lockgate.configuration.model import Model
from lockgate.data.snapshot import Manifest, Part, read_manifest
from lockgate.errors import DataContractError
from runtime import commit
from runtime.columns import read_columns
from runtime.contract import refuse_broken_columns, refuse_broken_order, refuse_broken_target
from runtime.job import Job

SCHEMA = "lockgate.prepared/1"


def prepare(job: Job) -> None:
    """Check the whole snapshot, then hand it on: train.parquet, holdout.parquet (features only) and report.json.

    Writes nothing before everything was checked. Raises EvidenceError, ConfigError or DataContractError.
    """
    snapshot = job.inputs / "snapshot"
    model = commit.declared_model(job.setting("MODEL"))
    manifest = read_manifest(job.read("snapshot/manifest.json"), job.setting("SNAPSHOT"))
    _refuse_other_columns(manifest, model)
    train_file, holdout_file = snapshot / "train" / "train.parquet", snapshot / "holdout" / "features.parquet"
    train = _verified(train_file, manifest.train, "train")
    holdout = _verified(holdout_file, manifest.holdout_features, "holdout")
    refuse_broken_columns(train, model, "train")
    refuse_broken_target(train, model, "train", every=True)
    refuse_broken_order(train, model, "train")
    refuse_broken_columns(holdout, model, "holdout")

    prepared = job.outputs / "prepared"
    prepared.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(train_file, prepared / "train.parquet")
    shutil.copyfile(holdout_file, prepared / "holdout.parquet")
    report = {"schema": SCHEMA, "model": model.name, "snapshot": manifest.id}
    parts = {"train": vars(manifest.train), "holdout": vars(manifest.holdout_features)}
    (prepared / "report.json").write_bytes(canonical.to_bytes({**report, **parts}))


def _refuse_other_columns(manifest: Manifest, model: Model) -> None:
    """The snapshot must be of this model and have the columns that model.toml declares."""
    declared = {
        "model": model.name,
        "identifier": model.identifier,
        "target": model.target.as_dict(),
        "features": sorted(feature.name for feature in model.features),
    }
    published = {**vars(manifest), "target": manifest.target.as_dict(), "features": sorted(manifest.features)}
    for key, value in declared.items():
        if canonical.to_bytes({key: published[key]}) != canonical.to_bytes({key: value}):  # true is no 1
            raise DataContractError(
                f"snapshot {manifest.id}: {key}: found {published[key]!r}, model/{model.name}/model.toml declares "
                f"{value!r}; publish a snapshot for this commit or correct model.toml"
            )


def _verified(file: Path, part: Part, name: str) -> pa.Table:
    """The table of a file that has the digest and the rows of the manifest."""
    if not file.is_file():
        raise DataContractError(f"{name}: found no file {file.name}, expected the one of the manifest")
    found = canonical.sha256(file.read_bytes())
    if found != part.sha256:
        raise DataContractError(
            f"{name}: {file.name}: SHA-256 found {found}, expected {part.sha256}: not the published file"
        )
    table = read_columns(file, name)
    if table.num_rows != part.rows:
        raise DataContractError(f"{name}: {file.name}: found {table.num_rows} rows, expected {part.rows}")
    return table
