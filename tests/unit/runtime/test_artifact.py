from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import skops.io

from lockgate import canonical
from lockgate.errors import EvidenceError
from runtime import commit
from runtime.archive import read_archive
from runtime.artifact import answers, read_artifact
from runtime.formats.scikit_learn import normalised
from runtime.frames import frame_of_instances, frame_of_table

ROOT = Path(__file__).parents[3]


def trained_by_a_process_of_its_own(run: Any, folder: Path, **variables: str) -> str:
    """The digest of /opt/ml/model after `python3 -m runtime train`."""
    shutil.copytree(run.prepared, folder / "input" / "data" / "train")
    environment = {**os.environ, "ML_ROOT": str(folder), "MODEL": "employment", **variables}
    subprocess.run([sys.executable, "-m", "runtime", "train"], cwd=ROOT, env=environment, check=True)
    return canonical.contents_sha256({file.name: file.read_bytes() for file in (folder / "model").iterdir()})


def test_two_processes_train_the_same_bytes(run: Any, tmp_path: Path) -> None:
    first = trained_by_a_process_of_its_own(run, tmp_path / "1", PYTHONHASHSEED="1", OMP_NUM_THREADS="1")
    second = trained_by_a_process_of_its_own(run, tmp_path / "2", PYTHONHASHSEED="2", OMP_NUM_THREADS="2")
    assert first == second == canonical.contents_sha256(read_archive(run.archive.read_bytes()))


def test_other_rows_train_other_bytes(run: Any, tmp_path: Path) -> None:
    for file in run.prepared.iterdir():
        shutil.copy(file, tmp_path)
    table = pq.read_table(tmp_path / "train.parquet")
    pq.write_table(table.slice(100), tmp_path / "train.parquet")
    found = trained_by_a_process_of_its_own(replace(run, prepared=tmp_path), tmp_path / "job")
    assert found != canonical.contents_sha256(read_archive(run.archive.read_bytes()))


def test_normalising_keeps_what_the_estimator_predicts(run: Any, model: Any) -> None:
    table = pq.read_table(run.prepared / "train.parquet")
    rows = frame_of_table(table, model)
    target = table[model.target.name].to_pandas()
    few = replace(model, parameters={**model.parameters, "max_iter": 5})
    estimator = commit.training_module(model).train(rows, target, few)
    saved = skops.io.dumps(estimator)
    again = skops.io.loads(normalised(saved), trusted=skops.io.get_untrusted_types(data=saved))
    assert np.array_equal(answers(estimator, rows, model), answers(again, rows, model))
    assert normalised(normalised(saved)) == normalised(saved) != saved


def test_a_row_alone_scores_bit_for_bit_as_among_others_and_as_from_json(run: Any, model: Any) -> None:
    estimator = read_artifact(read_archive(run.archive.read_bytes()), model)
    holdout = pq.read_table(run.prepared / "holdout.parquet")
    together = answers(estimator, frame_of_table(holdout, model), model)
    instances = json.loads(json.dumps(holdout.select([f.name for f in model.features]).slice(0, 60).to_pylist()))
    alone = [answers(estimator, frame_of_instances([instance], model), model)[0] for instance in instances]
    assert alone == together[:60].tolist()


def test_a_model_that_was_changed_after_training_is_refused(run: Any, model: Any) -> None:
    files = read_archive(run.archive.read_bytes())
    with pytest.raises(EvidenceError, match=r"model\.json: sha256: found"):
        read_artifact({**files, "model.skops": files["model.skops"] + b"\0"}, model)
    with pytest.raises(EvidenceError, match=r"expected model\.json and model\.skops and walker\.bin"):
        read_artifact({**files, "evil.py": b""}, model)


def test_a_model_trained_on_other_features_is_refused(run: Any, model: Any) -> None:
    fewer = replace(model, features=model.features[1:])
    with pytest.raises(EvidenceError, match=r"model\.json: features: found"):
        read_artifact(read_archive(run.archive.read_bytes()), fewer)


class Payload:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder),)


def forged(files: Mapping[str, bytes], saved: bytes) -> dict[str, bytes]:
    """The files with another model.skops, and a model.json that says so."""
    facts = canonical.from_bytes(files["model.json"], "model.json")
    facts["sha256"]["model.skops"] = canonical.sha256(saved)
    return {**files, "model.skops": saved, "model.json": canonical.to_bytes(facts)}


def test_a_pickle_is_not_loaded(run: Any, model: Any, tmp_path: Path) -> None:
    evil = forged(read_archive(run.archive.read_bytes()), pickle.dumps(Payload(tmp_path / "made")))
    with pytest.raises(EvidenceError, match=r"model\.skops: found no skops file"):
        read_artifact(evil, model)
    assert not (tmp_path / "made").exists()


def test_a_pickle_in_the_place_of_an_array_is_not_loaded(run: Any, model: Any, tmp_path: Path) -> None:
    files = read_archive(run.archive.read_bytes())
    with zipfile.ZipFile(io.BytesIO(files["model.skops"])) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    array, saved = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Payload(tmp_path / "made")], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, array.getvalue() if name.endswith(".npy") else content)
    with pytest.raises(EvidenceError, match=r"model\.skops: found no skops file: ValueError: .*allow_pickle"):
        read_artifact(forged(files, saved.getvalue()), model)
    assert not (tmp_path / "made").exists()


def test_a_file_that_calls_a_function_when_loaded_is_refused(run: Any, model: Any, tmp_path: Path) -> None:
    files = read_archive(run.archive.read_bytes())
    with zipfile.ZipFile(io.BytesIO(files["model.skops"])) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(contents.pop("schema.json"))
    schema["__class__"], schema["__module__"] = "system", "os"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {**contents, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, content)
    with pytest.raises(EvidenceError, match=r"found os\.system, expected only types of scikit-learn"):
        read_artifact(forged(files, buffer.getvalue()), model)


def test_model_json_says_what_the_model_is(run: Any) -> None:
    facts = canonical.from_bytes(read_archive(run.archive.read_bytes())["model.json"], "model.json")
    assert facts["features"][0] == {"name": "AGEP", "type": "integer", "values": []}
    assert facts["parameters"]["max_iter"] == 100
    assert sorted(facts["libraries"]) == ["numpy", "pandas", "scikit-learn", "skops"]
