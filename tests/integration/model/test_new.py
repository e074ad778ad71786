"""From a file to a verdict: what `lockgate new` wrote is trained and judged by the real steps, unedited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from cli.commands.snapshot import validated
from cli.main import main
from cli.profile.first_run import FirstRun
from cli.profile.proposal import proposed
from lockgate import canonical
from lockgate.configuration.model import Model, read_model
from lockgate.data.snapshot import Manifest, Part
from lockgate.errors import ConfigError
from lockgate.evidence.document import Evidence, read_evidence
from lockgate.gate.verdict import Circumstances, Outcome, judge
from lockgate.policy.fit import refuse_unfit
from lockgate.policy.of_model import read_model_policy
from lockgate.policy.rules import Gap
from lockgate.statistics.budget import Simple
from lockgate.tasks.target import binary
from tests.shapes import SHAPES, made

ROOT = Path(__file__).parents[3]
SAID = ("--owner", "team", "--intended-use", "a test", "--yes")
PROTECTED = {"visits": "site"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project in which a model of each shape was made, from CSV."""
    folder = tmp_path_factory.mktemp("new") / "project"
    shutil.copytree(ROOT / "environments", folder / "environments")
    here = Path.cwd()
    os.chdir(folder)
    try:
        for name in SHAPES:
            made(name).to_csv(f"{name}.csv", index=False)
            assert new(name, f"{name}.csv") == 0
        yield folder
    finally:
        os.chdir(here)


def new(name: str, source: str, *more: str, model: str = "") -> int:
    protected = PROTECTED.get(name, "none")
    words = ["new", model or name, "--from", source, "--target", SHAPES[name][1], "--protected", protected]
    return main([*words, *SAID, *more])


@pytest.fixture(scope="module")
def jobs(project: Path) -> Path:
    """The steps of a pipeline for each of the models, in an image's folder."""
    app, jobs = project.parent / "app", project.parent / "jobs"
    for part in ("lockgate", "runtime"):
        shutil.copytree(ROOT / part, app / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(project / "model", app / "model")
    for name in SHAPES:
        publish(read_model(project / "model" / name), project, jobs / name / "snapshot")
    words = [sys.executable, str(Path(__file__).parent / "steps_of_all.py"), str(jobs)]
    done = subprocess.run(words, cwd=app, env={**os.environ, "PYTHONPATH": str(app)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return jobs


def publish(model: Model, project: Path, folder: Path) -> None:
    """The snapshot as `lockgate snapshot` publishes it, after it looked at every row."""
    train, holdout = (pq.read_table(project / file) for file in (model.train_data, model.holdout_data))
    validated(train, holdout, model)
    features = [feature.name for feature in model.features]
    parts = {
        "data/train/train.parquet": train.select(list(model.training_columns)),
        "data/holdout/features.parquet": holdout.select([model.identifier, *features]),
        "labels/labels.parquet": holdout.select([model.identifier, model.target.name]),
    }
    written = []
    for name, table in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name)
        written.append(Part(canonical.sha256((folder / name).read_bytes()), table.num_rows))
    manifest = Manifest(model.name, model.identifier, model.target, tuple(features), model.protected, *written, {})
    (folder / "data" / "manifest.json").write_bytes(manifest.to_bytes())
    (folder / "id").write_text(manifest.id)


def evidence_of(jobs: Path, name: str) -> Evidence:
    written = (jobs / name / "evaluate" / "processing" / "output" / "evidence" / "evidence.json").read_bytes()
    return read_evidence(written, canonical.sha256(written))


@pytest.mark.parametrize("name", SHAPES)
def test_what_was_written_passes_its_own_first_policy_beside_its_champion(name: str, project: Path, jobs: Path) -> None:
    evidence, model = evidence_of(jobs, name), read_model(project / "model" / name)
    said = read_model_policy(project / "model" / name)
    assert isinstance(said.assurance, Simple)
    assert said.holdout_rows == evidence.data.holdout_rows
    policy = said.in_environment("prod", ())
    for rule in policy.rules:
        refuse_unfit(rule, model.target, "policy.toml")
    assert evidence.champion is not None, evidence.champion_missing
    circumstances = Circumstances(said.assurance.error, champion_sha256=evidence.champion.model_sha256)
    judgement = judge(policy, evidence, circumstances)
    assert judgement.outcome is Outcome.PASSED, [reason.message for reason in judgement.reasons]


@pytest.mark.parametrize("name", SHAPES)
def test_parquet_says_the_same_as_csv(name: str, project: Path, tmp_path: Path) -> None:
    made(name).to_parquet(tmp_path / f"{name}.parquet", index=False)
    assert new(name, str(tmp_path / f"{name}.parquet"), model="again") == 0
    for file in ("model.toml", "train.py", "policy.toml"):
        said, again = ((project / "model" / folder / file).read_text() for folder in (name, "again"))
        assert again.replace("again", name).replace(f"{name}.parquet.", f"{name}.csv.") == said
    shutil.rmtree(project / "model" / "again")
    shutil.rmtree(project / "data" / "again")


def test_a_prefix_of_s3_says_the_same_as_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cli.context.running", lambda: None)
    frame = made("imbalanced")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="rows-of-ours")
        for part, rows in (("a", frame[:500]), ("b", frame[500:])):
            s3.put_object(Bucket="rows-of-ours", Key=f"exports/left/{part}.csv", Body=rows.to_csv(index=False).encode())
        s3.put_object(Bucket="rows-of-ours", Key="exports/left-old/c.csv", Body=b"other,columns\n1,2\n")
        s3.put_object(Bucket="rows-of-ours", Key="exports/left/_SUCCESS", Body=b"")
        assert new("imbalanced", "s3://rows-of-ours/exports/left", model="again") == 0
        assert new("imbalanced", "s3://rows-of-ours/exports/nothing", model="none") == 1
    tables = [pq.read_table(project / f"data/{name}/train.parquet") for name in ("imbalanced", "again")]
    assert tables[0].equals(tables[1])
    assert not (project / "model" / "none").exists()
    shutil.rmtree(project / "model" / "again")
    shutil.rmtree(project / "data" / "again")


@pytest.mark.parametrize("key", ["owner", "intended_use", "protected"])
def test_what_nobody_decided_is_a_todo_that_synth_refuses_with_a_sentence(
    key: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"owner": ("team",), "intended_use": ("a test",), "protected": ("none",)}
    given = [word for name, words in said.items() if name != key for word in (f"--{name.replace('_', '-')}", *words)]
    try:
        assert main(["new", "undecided", "--from", "imbalanced.csv", "--target", "left", "--yes", *given]) == 0
        assert f"{key} in model/undecided/model.toml" in capsys.readouterr().out
        assert "# TODO: write" in (project / "model/undecided/model.toml").read_text()
        with pytest.raises(ConfigError, match=f"model/undecided/model.toml: {key}: found nothing, expected"):
            read_model(project / "model" / "undecided")
    finally:
        for folder in ("model", "data"):
            shutil.rmtree(project / folder / "undecided", ignore_errors=True)


def test_nothing_is_written_over_and_what_fails_leaves_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(project.rglob("*"))
    assert new("visits", "visits.csv") == 1
    assert "model/visits: found it there, expected no such folder" in capsys.readouterr().err
    assert new("visits", "visits.csv", "--keep", "nowhere", model="broken") == 1
    assert sorted(project.rglob("*")) == before


def test_rows_of_one_machine_lie_on_one_side(project: Path) -> None:
    parts = [pq.read_table(project / f"data/machines/{part}.parquet") for part in ("train", "holdout")]
    assert not set(parts[0]["machine_id"].to_pylist()) & set(parts[1]["machine_id"].to_pylist())


def test_later_rows_judge_where_a_date_orders_them(project: Path) -> None:
    train, holdout = (pq.read_table(project / f"data/visits/{part}.parquet")["opened"] for part in ("train", "holdout"))
    assert max(train.to_pylist()) < min(holdout.to_pylist())


def test_the_holdout_stays_out_of_git(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=project, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert [name for name in listed if name.startswith("data/")] == [
        f"data/{name}/.gitignore" for name in sorted(SHAPES)
    ]


def test_json_has_the_facts_and_a_dry_run_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(project.rglob("*"))
    capsys.readouterr()
    assert new("visits", "visits.csv", "--dry-run", "--json", model="dry") == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (facts["time"], facts["written"], facts["target"]["task"]) == ("opened", False, "binary")
    assert sorted(project.rglob("*")) == before


def test_a_protected_number_gets_bins_and_a_rule_and_no_exemption(project: Path) -> None:
    """It became a category of 72 ages, no rule could be about so many groups, and so none was proposed."""
    random = np.random.default_rng(3)
    age, income = random.integers(18, 90, 3000), random.gamma(3, 9000, 3000).round(2)
    paid = np.where(random.random(3000) < 1 / (1 + np.exp((25_000 - income) / 9000)), "yes", "no")
    rows = {"age": age, "senior": (age > 64).astype(int), "income": income, "paid": paid}
    pd.DataFrame(rows).to_csv("loans.csv", index=False)
    words = ["new", "loans", "--from", "loans.csv", "--target", "paid", "--protected", "age", "senior"]
    assert main([*words, *SAID]) == 0
    model, policy = read_model(project / "model" / "loans"), read_model_policy(project / "model" / "loans")
    found = {column.name: (column.type, len(column.bins)) for column in model.grouped}
    assert found == {"age": ("integer", 3), "senior": ("integer", 1)}
    assert policy.no_fairness_rule == ""
    assert {rule.by for rule, _ in policy.rules if isinstance(rule, Gap)} == {"age", "senior"}


def test_an_attribute_that_training_rows_lack_is_said_and_not_guessed() -> None:
    rows = pa.table({"x": [0.0, 1.0] * 50})
    run = FirstRun(rows, np.array([0, 1] * 50), np.array([0.2, 0.8] * 50), np.array([0.2, 0.8] * 50))
    said = proposed(run, binary("y"), ["age"], 100)
    assert said.excuse == "age: the training rows do not have it, so nothing was measured by it."
