from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lockgate import canonical
from lockgate.errors import ConfigError, DataContractError, EvidenceError, NotFoundError
from lockgate.tasks.target import binary
from runtime import job as jobs
from runtime.contract import NOT_NULL
from runtime.job import Job
from runtime.prepare import prepare


def with_column(table: pa.Table, name: str, change: Callable[[list[Any]], None]) -> pa.Table:
    values = table[name].to_pylist()
    change(values)
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def refused(job: Job, expected: type[Exception] = DataContractError) -> str:
    with pytest.raises(expected) as caught:
        prepare(job)
    assert not job.outputs.exists(), "a refused snapshot leaves nothing for training"
    return str(caught.value)


@pytest.fixture
def published(snapshot: Any, tmp_path: Path, job_with: Any) -> Callable[..., Job]:
    """A job on a snapshot with changed rows whose digests are right: only the data contract is broken."""

    def publish(**tables: pa.Table) -> Job:
        changed = snapshot.published(tmp_path / "changed", **tables)
        job = job_with({"snapshot": changed.data})
        return replace(job, environment={**job.environment, "SNAPSHOT": changed.manifest.id})

    return publish


def test_a_good_snapshot_is_handed_on_byte_for_byte_without_labels(snapshot: Any, run: Any) -> None:
    assert canonical.sha256((run.prepared / "train.parquet").read_bytes()) == snapshot.manifest.train.sha256
    holdout = (run.prepared / "holdout.parquet").read_bytes()
    assert canonical.sha256(holdout) == snapshot.manifest.holdout_features.sha256
    report = canonical.from_bytes((run.prepared / "report.json").read_bytes(), "report")
    assert report["holdout"] == {"rows": 1500, "sha256": snapshot.manifest.holdout_features.sha256}
    assert sorted(file.name for file in run.prepared.iterdir()) == ["holdout.parquet", "report.json", "train.parquet"]


def test_a_missing_column_is_named(snapshot: Any, published: Any) -> None:
    message = refused(published(train=snapshot.train.drop_columns(["SCHL"])))
    assert message.startswith("train: column SCHL: found no such column, expected it; there are: id, AGEP, MAR")


def test_a_new_category_is_named_with_count_and_at_most_five_identifiers(snapshot: Any, published: Any) -> None:
    def invent(values: list[Any]) -> None:
        values[10:17] = ["x"] * 7

    message = refused(published(holdout=with_column(snapshot.holdout, "DIS", invent)))
    ids = ", ".join(str(value) for value in snapshot.holdout["id"].to_pylist()[10:15])
    assert message == f"holdout: column DIS: found 'x' in 7 rows (identifiers {ids}, …), expected one of '1', '2'"


@pytest.mark.parametrize("value", [-1.0, 100.0, 41.5, float("nan"), float("inf")])
def test_an_integer_out_of_range_or_with_a_fraction_is_refused(snapshot: Any, published: Any, value: float) -> None:
    def spoil(values: list[Any]) -> None:
        values[3] = value

    message = refused(published(train=with_column(snapshot.train, "AGEP", spoil)))
    assert message == (
        f"train: column AGEP: found {value} in 1 row (identifiers {snapshot.train['id'][3]}), "
        "expected an integer from 0 to 99" + (NOT_NULL if math.isnan(value) else "")
    )


def test_more_nulls_than_the_contract_allows_are_refused(snapshot: Any, published: Any) -> None:
    def lose(values: list[Any]) -> None:
        values[0] = values[2] = None

    message = refused(published(train=with_column(snapshot.train, "SEX", lose)))
    first, third = snapshot.train["id"][0], snapshot.train["id"][2]
    assert message == (
        f"train: column SEX: found null in 2 rows (identifiers {first}, {third}), expected at most 0 of 4000 rows null"
    )


def test_several_broken_columns_are_told_at_once(snapshot: Any, published: Any) -> None:
    def spoil(values: list[Any]) -> None:
        values[0] = "?"

    train = with_column(with_column(snapshot.train, "SEX", spoil), "MAR", spoil)
    assert [line.split(":")[1] for line in refused(published(train=train)).splitlines()] == [
        " column MAR",
        " column SEX",
    ]


def test_an_identifier_that_occurs_twice_is_refused(snapshot: Any, published: Any) -> None:
    def repeat(values: list[Any]) -> None:
        values[1] = values[0]

    message = refused(published(train=with_column(snapshot.train, "id", repeat)))
    assert message == "train: column id: found 0 nulls and 3999 different values in 4000 rows, expected each once"


@pytest.mark.parametrize(("label", "found"), [(2, "0, 1, 2"), (None, "0, 1, None")])
def test_a_target_other_than_0_and_1_is_refused(snapshot: Any, published: Any, label: int | None, found: str) -> None:
    def spoil(values: list[Any]) -> None:
        values[0] = label

    message = refused(published(train=with_column(snapshot.train, "employed", spoil)))
    assert message.startswith("train: column employed: found ")
    assert sorted(message.split("found ")[1].split(", expected")[0].split(", ")) == found.split(", ")


@pytest.mark.parametrize("file", ["train/train.parquet", "holdout/features.parquet"])
def test_a_file_other_than_the_published_one_is_refused(snapshot: Any, job_with: Any, file: str) -> None:
    job = job_with({"snapshot": snapshot.data})
    with (job.inputs / "snapshot" / file).open("ab") as stream:
        stream.write(b"\0")
    assert "SHA-256 found" in refused(job)


def test_an_altered_manifest_is_refused(snapshot: Any, job_with: Any) -> None:
    job = job_with({"snapshot": snapshot.data})
    manifest = job.inputs / "snapshot" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows":4000', b'"rows":4001'))
    assert "it was altered" in refused(job, EvidenceError)


def test_a_snapshot_of_another_model_or_with_other_columns_is_refused(
    snapshot: Any, tmp_path: Path, job_with: Any
) -> None:
    for number, (key, value) in enumerate([("model", "other"), ("features", ("AGEP",)), ("target", binary("salary"))]):
        manifest = replace(snapshot.manifest, **{key: value})
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "manifest.json").write_bytes(manifest.to_bytes())
        job = replace(
            Job(tmp_path / f"job{number}", {"MODEL": "employment", "SNAPSHOT": manifest.id}),
        )
        (job.inputs).mkdir(parents=True)
        folder.rename(job.inputs / "snapshot")
        assert f"snapshot {manifest.id}: {key}: found" in refused(job)


def test_an_unknown_model_and_a_missing_input_are_named(snapshot: Any, tmp_path: Path) -> None:
    job = Job(tmp_path, {"MODEL": "salary", "SNAPSHOT": snapshot.manifest.id})
    assert "found 'salary', expected one of ['employment']" in refused(job, ConfigError)
    job = Job(tmp_path, {"MODEL": "employment", "SNAPSHOT": snapshot.manifest.id})
    assert "snapshot/manifest.json: found no such file" in refused(job, NotFoundError)
    assert "environment: MODEL" in refused(Job(tmp_path, {}), ConfigError)


def test_a_failed_step_leaves_its_reason_where_sagemaker_looks(
    snapshot: Any, published: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def spoil(values: list[Any]) -> None:
        values[0] = "é" * 40

    train = snapshot.train
    for name in ("SCHL", "RELP", "MAR", "ESP", "CIT", "MIL"):
        train = with_column(train, name, spoil)
    job = published(train=train)
    assert jobs.run(prepare, job) == 1
    message = (job.root / "output" / "message").read_bytes()
    assert message.startswith(b"train: column SCHL: found '")
    assert 900 < len(message) <= jobs.MESSAGE_BYTES
    message.decode()  # not cut within a letter
    printed = capfd.readouterr().err
    assert "… and 1 more" in printed
    assert "Traceback" not in printed


def test_a_defect_leaves_its_name_and_its_stack_trace(tmp_path: Path) -> None:
    def divide(_: Job) -> None:
        raise ZeroDivisionError("of course")

    with pytest.raises(ZeroDivisionError):
        jobs.run(divide, Job(tmp_path, {}), failure="failure")
    assert (tmp_path / "output" / "failure").read_text() == "ZeroDivisionError: of course"
