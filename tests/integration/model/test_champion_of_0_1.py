"""A model that version 0.1 trained and serves is challenged by one of now, through the real steps of both versions.

The commit of 0.1 is in this repository: its files train a champion, and predict today's holdout when they are asked as
the pipeline asks them. Today's evaluator compares both, and today's rules judge.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lockgate import canonical
from lockgate.configuration.model import Model, read_model
from lockgate.data.snapshot import Manifest, Part
from lockgate.evidence.document import Evidence, read_evidence
from lockgate.gate.verdict import Circumstances, Outcome, judge
from lockgate.policy.of_model import read_model_policy
from tests.archives import packed
from tests.integration.model.test_examples import Example, files_of

ROOT = Path(__file__).parents[3]
MODEL = "employment"
ROWS = 4000  # of each part: enough to compare two models, and trained in a second


def code_of(version: str, folder: Path) -> Path:
    """What the image of a commit of a version has, from the commit that the changelog names."""
    said = re.search(
        rf"^## {re.escape(version)}$\n\n^Commit `([0-9a-f]{{40}})`", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert said, version
    done = subprocess.run(
        ["git", "archive", said[1], "lockgate", "runtime", "model"], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def publish(model: Model, folder: Path) -> Manifest:
    """Some rows of the census as a snapshot of today."""
    parts, written = {}, []
    for part, name in (("train", model.train_data), ("holdout", model.holdout_data)):
        table = pq.read_table(ROOT / name).slice(0, ROWS)
        features = [feature.name for feature in model.features]
        if part == "train":
            parts["data/train/train.parquet"] = table.select([model.identifier, *features, model.target.name])
        else:
            parts["data/holdout/features.parquet"] = table.select([model.identifier, *features])
            parts["labels/labels.parquet"] = table.select([model.identifier, model.target.name])
    for name, table in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name)
        written.append(Part(canonical.sha256((folder / name).read_bytes()), table.num_rows))
    names = tuple(feature.name for feature in model.features)
    manifest = Manifest(model.name, model.identifier, model.target, names, model.protected, *written, {})
    (folder / "data" / "manifest.json").write_bytes(manifest.to_bytes())
    return manifest


def trained(example: Example) -> Path:
    """The archive of a model that the example's own code prepared and trained."""
    snapshot, training = example.jobs.parent / "snapshot", example.jobs / "train"
    prepared = example.processing("prepare", ("runtime", "prepare"), snapshot=snapshot / "data") / "prepared"
    shutil.copytree(prepared, training / "input" / "data" / "train")
    example.step("runtime", "train", root=training)
    archive = example.jobs / "model.tar.gz"
    archive.write_bytes(packed(files_of(training / "model")))
    return archive


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("challenged")
    model, app = read_model(ROOT / "model" / MODEL), folder / "app"
    for part in ("lockgate", "runtime", "model"):
        shutil.copytree(ROOT / part, app / part, ignore=shutil.ignore_patterns("__pycache__"))
    challenger = Example(model, app, folder / "challenger", publish(model, folder / "snapshot"))
    before = code_of("0.1.0", folder / "before")
    champion = replace(challenger, app=before, jobs=folder / "champion")
    served, archive = trained(champion), trained(challenger)
    snapshot = folder / "snapshot"
    prepared = challenger.jobs / "prepare" / "processing" / "output" / "prepared"
    predicted = challenger.processing("predict", ("runtime", "predict"), model=archive, prepared=prepared)
    asked = champion.processing("champion", ("runtime", "champion"), model=served, snapshot=snapshot / "data")
    found = challenger.processing(
        "evaluate",
        ("runtime.evaluate",),
        **{
            "snapshot": snapshot / "data",
            "labels": snapshot / "labels",
            "model": archive,
            "predictions": predicted / "predictions",
            "champion": asked / "champion",
            "champion-model": served,
        },
    )
    written = (found / "evidence" / "evidence.json").read_bytes()
    return read_evidence(written, canonical.sha256(written))


def test_a_champion_of_0_1_predicts_the_holdout_of_today_and_is_compared_on_every_row(evidence: Evidence) -> None:
    assert evidence.champion is not None, evidence.champion_missing
    assert {metric.rows for name, metric in evidence.champion.metrics.items() if name == "accuracy"} == {ROWS}


def test_the_rule_about_what_is_served_decides_by_numbers(evidence: Evidence) -> None:
    assert evidence.champion is not None, evidence.champion_missing
    policy = read_model_policy(ROOT / "model" / MODEL).in_environment("dev", ())
    judgement = judge(policy, evidence, Circumstances(0.01, champion_sha256=evidence.champion.model_sha256))
    said = {reason.rule: reason for reason in judgement.reasons}["not worse than what is served"]
    assert re.search(rf"accuracy .*champion's by -?[\d.e-]+ on {ROWS} rows", said.message), said.message
    assert said.outcome is Outcome.PASSED, said.message
    other = judge(policy, evidence, Circumstances(0.01, champion_sha256="0" * 64))
    assert other.outcome is not Outcome.PASSED, "the ledger knows another champion than evaluation compared with"
