from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from lockgate import canonical
from lockgate.data.row_identities import identities
from lockgate.errors import EvidenceError
from lockgate.evidence.document import read_evidence
from runtime.archive import read_archive
from runtime.contract import first_violation
from runtime.evaluate import evaluate
from runtime.job import Job

ROOT = Path(__file__).parents[3]


@pytest.fixture
def job(snapshot: Any, run: Any, job_with: Any) -> Job:
    inputs = {
        "snapshot": snapshot.data,
        "labels": snapshot.labels,
        "model": run.archive,
        "predictions": run.predictions,
    }
    made: Job = job_with(inputs)
    return made


def refused(job: Job) -> str:
    with pytest.raises(EvidenceError) as caught:
        evaluate(job)
    assert not job.outputs.exists(), "no evidence is better than evidence in doubt"
    return str(caught.value)


def with_predictions(job: Job, change: Callable[[pa.Table], pa.Table]) -> Job:
    file = job.inputs / "predictions" / "predictions.parquet"
    pq.write_table(change(pq.read_table(file)), file)
    return job


def with_score(score: float | None) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        scores = table["score"].to_pylist()
        scores[7] = score
        return table.set_column(1, "score", pa.array(scores, pa.float64()))

    return change


def results(job: Job) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    folder = job.outputs / "evidence"
    digests = canonical.from_bytes((folder / "digests.json").read_bytes(), "digests")
    replay = canonical.from_bytes((folder / "replay.json").read_bytes(), "replay")
    return read_evidence((folder / "evidence.json").read_bytes(), digests["evidence_sha256"]), replay, digests


def test_evidence_binds_the_measurement_to_the_exact_artifacts(job: Job, snapshot: Any, run: Any) -> None:
    evaluate(job)
    evidence, _, digests = results(job)
    archive = run.archive.read_bytes()
    assert evidence.model_sha256 == digests["model_sha256"] == canonical.sha256(archive)
    assert evidence.contents_sha256 == canonical.contents_sha256(read_archive(archive))
    assert evidence.data.labels_sha256 == snapshot.manifest.holdout_labels.sha256
    assert (evidence.data.train_rows, evidence.data.holdout_rows) == (4000, 1500)
    assert evidence.features == snapshot.manifest.features
    assert evidence.parameters["max_iter"] == 100
    assert (evidence.commit, evidence.actor) == ("c" * 40, "ana")
    assert evidence.unreadable == {}


def test_the_metrics_are_those_of_scores_joined_with_labels_by_identifier(job: Job, snapshot: Any) -> None:
    """The predictions come in another order than the labels; a join by position would measure noise."""
    rng = np.random.default_rng(1)
    with_predictions(job, lambda table: table.take(pa.array(rng.permutation(table.num_rows))))
    evaluate(job)
    predictions = pq.read_table(job.inputs / "predictions" / "predictions.parquet").sort_by("id")
    truth = snapshot.holdout.sort_by("id")
    metric = results(job)[0].metrics["roc_auc"]
    assert metric.value == pytest.approx(roc_auc_score(truth["employed"].to_numpy(), predictions["score"].to_numpy()))
    assert metric.value > 0.85
    assert metric.rows == 1500


def test_the_groups_of_a_protected_attribute_add_up_to_the_holdout(job: Job, snapshot: Any) -> None:
    evaluate(job)
    evidence = results(job)[0]
    assert set(evidence.groups) == {"SEX", "RAC1P"}
    for attribute, groups in evidence.groups.items():
        values = snapshot.holdout[attribute].to_pylist()
        assert {value: group.rows for value, group in groups.items()} == {v: values.count(v) for v in set(values)}
        right = sum(group.metrics["accuracy"].statistics["hits"] for group in groups.values())
        assert right == evidence.metrics["accuracy"].statistics["hits"]


def with_champion(job: Job, change: Callable[[pa.Table], pa.Table]) -> Job:
    """A champion that predicted something else on the same rows."""
    (job.inputs / "champion").mkdir()
    pq.write_table(change(pq.read_table(job.inputs / "predictions" / "predictions.parquet")), champion_file(job))
    (job.inputs / "champion-model").mkdir()
    shutil.copy(job.inputs / "model" / "model.tar.gz", job.inputs / "champion-model")
    return job


def champion_file(job: Job) -> Path:
    return job.inputs / "champion" / "predictions.parquet"


def test_a_champion_is_measured_on_the_same_rows_and_named_by_the_digest_of_its_model(job: Job) -> None:
    evaluate(with_champion(job, with_score(0.123)))
    champion = results(job)[0].champion
    assert champion.model_sha256 == canonical.sha256(job.read("champion-model/model.tar.gz"))
    assert champion.metrics["roc_auc"].rows == 1500
    assert set(champion.paired) == {
        *("accuracy", "roc_auc", "log_loss", "brier", "true_positive_rate", "false_positive_rate")
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table: table.slice(1), "found 1 holdout rows missing"),
        (lambda table: table.slice(0, 0), "found 1500 holdout rows missing"),
        (lambda table: table.drop_columns(["score"]), "found columns ['id', 'reference'], expected id, score"),
        (lambda table: with_score(float("nan"))(table), "found 1 rows not from 0 to 1"),
        (lambda table: with_score(7.0)(table), "found 1 rows not from 0 to 1"),
        (
            lambda table: table.set_column(1, "score", pa.array([[0.5]] * len(table))),
            "double>, expected a column of single values",
        ),
    ],
)
def test_predictions_of_the_champion_that_cannot_be_used_are_no_champion_and_stop_nobody(
    job: Job, change: Callable[[pa.Table], pa.Table], why: str
) -> None:
    evaluate(with_champion(job, change))
    evidence = results(job)[0]
    assert evidence.champion is None
    assert why in evidence.champion_missing


def test_a_champions_file_that_is_no_table_is_no_champion(job: Job) -> None:
    with_champion(job, lambda table: table)
    champion_file(job).write_bytes(b"PAR1 nonsense PAR1")
    evaluate(job)
    assert "found a Parquet file that cannot be read" in results(job)[0].champion_missing


@pytest.mark.parametrize(
    ("note", "why"),
    [
        (None, "its step left neither predictions nor a note"),
        (b"", "its step left an empty note"),
        (b"nothing is served yet\n", ""),
        (
            b"its step ended with exit code 1\nKeyError: 'Field \"NATIVITY\" does not exist'",
            "exit code 1 KeyError: 'Fie",
        ),
        (b"\x1b[2Jforged\x00\xff" + b"x" * 5000, "[2Jforged"),
    ],
)
def test_why_the_champion_predicted_nothing_is_in_the_evidence(job: Job, note: bytes | None, why: str) -> None:
    (job.inputs / "champion").mkdir()
    if note is not None:
        (job.inputs / "champion" / "none.txt").write_bytes(note)
    evaluate(job)
    evidence = results(job)[0]
    assert evidence.champion is None
    assert why in evidence.champion_missing if why else evidence.champion_missing == ""
    assert evidence.champion_missing.isprintable()
    assert len(evidence.champion_missing) <= 1000


def test_the_replay_is_the_first_hundred_rows_by_identifier(job: Job, model: Any, run: Any) -> None:
    evaluate(job)
    _, replay, digests = results(job)
    first = pq.read_table(run.predictions).sort_by("id")["score"].to_pylist()[:100]
    assert replay["predictions"] == first
    assert len(replay["instances"]) == 100
    assert first_violation(replay["instances"], model) is None, "a server would refuse its own replay"
    assert digests["replay_sha256"] == canonical.sha256((job.outputs / "evidence" / "replay.json").read_bytes())


def test_perfect_metrics_that_a_commit_writes_into_its_archive_gain_nothing(job: Job, packed: Any) -> None:
    evaluate(job)
    honest = results(job)[0].metrics
    shutil.rmtree(job.outputs)
    archive = job.inputs / "model" / "model.tar.gz"
    files = read_archive(archive.read_bytes())
    facts = canonical.from_bytes(files["model.json"], "model.json")
    boast = canonical.to_bytes({**facts, "metrics": {"roc_auc": 1.0}})
    archive.write_bytes(packed({**files, "model.json": boast, "evidence.json": b"{}"}))
    evaluate(job)
    assert results(job)[0].metrics == honest


@pytest.mark.parametrize(
    "noted", [None, "much", [], [0] * 21, [1500] + [0] * 20, [1500] * 20, [-1] * 21, [True] * 21, [1e999] * 21]
)
def test_a_distribution_of_scores_other_than_that_of_the_holdout_is_refused(job: Job, packed: Any, noted: Any) -> None:
    """The alarm on what is served compares with it for as long as the release is served."""
    archive = job.inputs / "model" / "model.tar.gz"
    files = read_archive(archive.read_bytes())
    facts = canonical.from_bytes(files["model.json"], "model.json")
    facts["engine"]["holdout_scores"] = noted if noted != [1e999] * 21 else [10**400] * 21
    archive.write_bytes(packed({**files, "model.json": json.dumps(facts).encode()}))
    assert "holdout_scores: found" in refused(job)


def test_bins_in_which_a_change_could_not_be_seen_are_refused(job: Job, packed: Any) -> None:
    noted(job.inputs / "model" / "model.tar.gz", packed, engine={"bounds": [2.0], "holdout_scores": [1500, 0]})
    assert "engine: bounds: found [2.0]" in refused(job)


def noted(archive: Path, packed: Any, **changes: Any) -> None:
    """Change what model.json of an archive says; None leaves a key out."""
    files = read_archive(archive.read_bytes())
    facts = json.loads(files["model.json"])
    for key, change in changes.items():
        facts[key] = {**facts[key], **change} if isinstance(change, dict) else change
    said = {key: value for key, value in facts.items() if value is not None}
    archive.write_bytes(packed({**files, "model.json": json.dumps(said).encode()}))


@pytest.mark.parametrize(
    "change", [{"classes": [1, 0]}, {"classes": [False, True]}, {"task": "regression"}, {"name": "other"}]
)
def test_a_champion_of_another_target_is_no_champion(job: Job, packed: Any, change: dict[str, Any]) -> None:
    with_champion(job, lambda table: table)
    noted(job.inputs / "champion-model" / "model.tar.gz", packed, target=change)
    evaluate(job)
    evidence = results(job)[0]
    assert evidence.champion is None
    assert "model.json: target: found" in evidence.champion_missing


def test_a_champion_of_0_1_named_the_column_of_its_labels_0_and_1(job: Job, packed: Any) -> None:
    with_champion(job, lambda table: table)
    noted(job.inputs / "champion-model" / "model.tar.gz", packed, target="employed", threshold=None)
    evaluate(job)
    assert results(job)[0].champion is not None


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.01, 1.01, None])
def test_a_score_that_is_no_probability_is_refused(job: Job, score: float | None) -> None:
    assert "score: found 1 rows not from 0 to 1" in refused(with_predictions(job, with_score(score)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.slice(2), "found 2 holdout rows missing and 0 others"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "1501 rows with 1500 different values"),
        (
            lambda table: pa.concat_tables([table, pa.table({"id": [-1], "score": [0.5], "reference": [0.5]})]),
            "found 0 holdout rows missing and 1 others",
        ),
        (
            lambda table: pa.concat_tables(
                [table.slice(1), pa.table({"id": [-1], "score": [0.5], "reference": [0.5]})]
            ),
            "found 1 holdout rows missing and 1 others",
        ),
        (lambda table: table.slice(0, 0), "found 1500 holdout rows missing"),
        (
            lambda table: table.rename_columns(["id", "p", "reference"]),
            "found columns ['id', 'p', 'reference'], expected id, score, reference",
        ),
        (lambda table: table.append_column("employed", table["score"]), "expected id, score, reference"),
        (
            lambda table: table.set_column(1, "score", table["score"].cast(pa.string())),
            "expected int64, then double",
        ),
        (lambda table: table.set_column(0, "id", table["id"].cast(pa.string())), "expected int64, then double"),
    ],
)
def test_predictions_other_than_one_a_row_are_refused(
    job: Job, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    assert message in refused(with_predictions(job, change))


def test_predictions_that_are_no_parquet_file_are_refused(job: Job) -> None:
    (job.inputs / "predictions" / "predictions.parquet").write_bytes(b"PAR1 not quite")
    assert "predictions: predictions.parquet: found" in refused(job)


@pytest.mark.parametrize("file", ["labels/labels.parquet", "snapshot/holdout/features.parquet"])
def test_labels_or_features_other_than_the_published_ones_are_refused(job: Job, file: str) -> None:
    (job.inputs / file).write_bytes((job.inputs / file).read_bytes() + b"\0")
    assert "not the published file" in refused(job)


def test_a_manifest_of_another_model_or_another_id_is_refused(job: Job) -> None:
    assert "is of model 'employment'" in refused(replace(job, environment={**job.environment, "MODEL": "salary"}))
    assert "it was altered" in refused(replace(job, environment={**job.environment, "SNAPSHOT": "0" * 16}))


def test_an_archive_that_is_none_is_refused(job: Job) -> None:
    (job.inputs / "model" / "model.tar.gz").write_bytes(b"model")
    assert "not a .tar.gz archive" in refused(job)


def test_the_evaluators_image_holds_all_that_it_imports_and_nothing_of_a_commit(job: Job, tmp_path: Path) -> None:
    app = image_folder(ROOT / "runtime" / "Dockerfile", tmp_path / "app")
    ended = run_in(app, job, "runtime.evaluate")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert results(job)[0].metrics["roc_auc"].value > 0.85
    assert not (app / "model").exists()


def test_a_refusal_ends_the_evaluator_with_its_reason_and_no_stack_trace(job: Job, tmp_path: Path) -> None:
    app = image_folder(ROOT / "runtime" / "Dockerfile", tmp_path / "app")
    with_predictions(job, with_score(2.0))
    ended = run_in(app, job, "runtime.evaluate")
    reason = "predictions: score: found 1 rows not from 0 to 1, expected finite probabilities"
    assert (ended.returncode, ended.stderr) == (1, reason + "\n")
    assert (job.root / "output" / "message").read_text() == reason


def test_the_commits_image_holds_all_that_a_step_imports(snapshot: Any, job_with: Any, tmp_path: Path) -> None:
    app = image_folder(ROOT / "model" / "Dockerfile", tmp_path / "app")
    job = job_with({"snapshot": snapshot.data})
    ended = run_in(app, job, "runtime", "prepare")
    assert (ended.returncode, ended.stderr) == (0, "")


def image_folder(dockerfile: Path, app: Path) -> Path:
    """What the Dockerfile copies from the commit into /app."""
    for sources, target in re.findall(r"^COPY --chmod=0755 ([^\n]+) /app/(\S+)$", dockerfile.read_text(), re.M):
        for source in map(ROOT.joinpath, sources.split()):
            if source.is_dir():
                shutil.copytree(source, app / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (app / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, app / target)
    return app


def run_in(app: Path, job: Job, *module: str) -> subprocess.CompletedProcess[str]:
    """Run a module with nothing of this repository importable but `app`."""
    hide = ROOT / "local" / "host" / "site"
    environment = {
        **job.environment,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{app}:{hide}",
        "ML_ROOT": str(job.root),
    }
    command = [sys.executable, "-m", *module]
    return subprocess.run(command, cwd=app, env=environment, capture_output=True, text=True, check=False)


def test_a_holdout_that_shares_a_row_with_training_is_refused(
    snapshot: Any, run: Any, environment: dict[str, str], tmp_path: Path, job_with: Any
) -> None:
    identifier = snapshot.manifest.identifier
    shared = snapshot.holdout.slice(0, 3).select(snapshot.train.column_names)
    changed = snapshot.published(tmp_path / "leaky", train=pa.concat_tables([snapshot.train, shared]))
    inputs = {"snapshot": changed.data, "labels": changed.labels, "model": run.archive, "predictions": run.predictions}
    job = job_with(inputs)
    leaky = Job(job.root, {**environment, "SNAPSHOT": changed.manifest.id})
    assert refused(leaky) == f"holdout: found 3 of {len(snapshot.holdout)} rows that training has too, expected none"
    assert identifier in shared.column_names


def test_evidence_says_which_rows_and_how_they_drift(job: Job, snapshot: Any) -> None:
    evaluate(job)
    data = (job.outputs / "evidence" / "evidence.json").read_bytes()
    evidence = read_evidence(data, canonical.sha256(data))
    for table, digest in (
        (snapshot.train, evidence.data.train_identities_sha256),
        (snapshot.holdout, evidence.data.holdout_identities_sha256),
    ):
        contents = zip(*(table[name].to_pylist() for name in snapshot.manifest.features), strict=True)
        assert digest == canonical.sha256(identities(table[snapshot.manifest.identifier].to_pylist(), contents))
    assert set(evidence.drift) == set(snapshot.manifest.features)
    assert all(0 <= found.psi < 0.2 and 0 <= found.effect_size < 0.2 for found in evidence.drift.values())
