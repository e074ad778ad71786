"""A commit that changes its columns meets a champion that knows the old ones: steps, gate and waiver are the real ones.

The champion is trained on the old columns and asked for the new holdout in a process of its own, as its image would be.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lambdas import gate
from lambdas.decide import waiver
from lockgate import canonical
from lockgate.data.snapshot import Manifest, Part
from lockgate.evidence.document import Evidence, read_evidence
from lockgate.tasks.target import binary
from tests import signed
from tests.archives import packed
from tests.integration.lambdas.test_gate import COMPARE, accuracy, reasons, serve

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

ROOT = Path(__file__).parents[3]
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:lockgate-promotion"
ROWS = 1000
INTEGER = {"type": "integer", "minimum": 0, "maximum": 99}
BEFORE = {"AGE": INTEGER, "CODE": INTEGER, "KIND": {"type": "category", "values": ["x", "y", "z"]}}
TRAIN = """
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def train(rows, target, model):
    texts = make_column_selector(dtype_exclude="number")
    columns = make_column_transformer((OneHotEncoder(), texts), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(rows, target)
"""
# Imports once what each step needs, and runs each in a process of its own that a fork makes.
STEPS = """
import json, os, sys
import runtime.prepare, runtime.train, runtime.predict, runtime.evaluate, sklearn.linear_model, sklearn.compose
from runtime import job
from runtime.__main__ import main
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.update(asked["environment"])
        step = asked["step"]
        os._exit(job.run(runtime.evaluate.evaluate, job.this_job()) if step == "evaluate" else main([step]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Change:
    """What a commit makes of the columns, and of the values of rows."""

    columns: dict[str, dict[str, Any]]
    rows: Callable[[dict[str, np.ndarray]], dict[str, Any]] = lambda rows: rows
    compared: bool = False


def without(name: str) -> dict[str, dict[str, Any]]:
    return {each: column for each, column in BEFORE.items() if each != name}


def kinds(*values: str) -> dict[str, dict[str, Any]]:
    return {**BEFORE, "KIND": {"type": "category", "values": list(values)}}


CHANGES = {
    "a feature dropped": Change(without("CODE")),
    "a feature renamed": Change({**without("CODE"), "NUMBER": INTEGER}, lambda rows: {**rows, "NUMBER": rows["CODE"]}),
    "a feature retyped": Change(
        {**BEFORE, "CODE": {"type": "category", "values": ["a", "b"]}},
        lambda rows: {**rows, "CODE": np.where(rows["CODE"] > 50, "a", "b")},
    ),
    "a category more": Change(
        kinds("w", "x", "y", "z"), lambda rows: {**rows, "KIND": np.where(rows["AGE"] == 7, "w", rows["KIND"])}
    ),
    "a feature added": Change({**BEFORE, "EXTRA": INTEGER}, lambda rows: {**rows, "EXTRA": rows["AGE"]}, compared=True),
    "a category less": Change(
        kinds("x", "y"),
        lambda rows: {**rows, "KIND": np.where(rows["KIND"] == "z", "x", rows["KIND"])},
        compared=True,
    ),
}


class Steps:
    """The steps of pipelines, each with the code that an image would have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = folder / "app"
        for part in ("lockgate", "runtime"):
            shutil.copytree(ROOT / part, self.app / part, ignore=shutil.ignore_patterns("__pycache__"))
        self.process = subprocess.Popen(
            [sys.executable, "-c", STEPS],
            cwd=self.app,
            env={**os.environ, "PYTHONPATH": str(self.app)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.count = 0

    def run(self, step: str, of: str, /, *, training: Path | None = None, **inputs: Path) -> Path:
        """Its root, after it ended well."""
        assert self.process.stdin
        assert self.process.stdout
        self.count += 1
        root = self.folder / f"{self.count}-{step}"
        for name, source in inputs.items():
            target = root / "processing" / "input" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.mkdir()
                shutil.copy(source, target)
        if training:
            shutil.copytree(training, root / "input" / "data" / "train")
        environment = {"ML_ROOT": str(root), "MODEL": "income", "SNAPSHOT": of, "COMMIT": "c" * 40}
        environment |= {"IMAGE": f"r/i@sha256:{'a' * 64}", "EXECUTION": "arn:aws:sagemaker:e", "ACTOR": "ana"}
        self.process.stdin.write(json.dumps({"step": step, "environment": environment}) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        if step == "champion":
            code = self._as_the_pipeline_ends_it(code, root)
        assert code == 0, (step, [file.read_text() for file in (root / "output").glob("*")])
        return root

    @staticmethod
    def _as_the_pipeline_ends_it(code: int, root: Path) -> int:
        """The definition's command, in which the champion's own process has ended with this code."""
        definition = json.loads((ROOT / "model" / "pipeline.json").read_text())
        (found,) = (each for each in definition["Steps"] if each["Name"] == "champion")
        shell, option, command = found["Arguments"]["AppSpecification"]["ContainerEntrypoint"]
        own = "timeout -k 9 3000 python3 -m runtime champion"
        assert own in command
        environment = {**os.environ, "ML_ROOT": str(root)}
        return subprocess.run([shell, option, command.replace(own, f"(exit {code})")], env=environment).returncode

    def check_out(self, columns: dict[str, dict[str, Any]]) -> None:
        """Have the model folder of a commit, for the steps to come."""
        model = self.app / "model" / "income"
        shutil.rmtree(self.app / "model", ignore_errors=True)
        model.mkdir(parents=True)
        head = "description = 'x'\nidentifier = 'id'\ntarget = 'y'\nprotected = []\nowner = 'a'\nintended_use = 'b'\n"
        tables = "[parameters]\n[data]\ntrain = 't'\nholdout = 'h'\n"
        for name, column in columns.items():
            values = "".join(f"{key} = {json.dumps(value)}\n" for key, value in column.items())
            tables += f"[[feature]]\nname = '{name}'\n{values}"
        (model / "model.toml").write_text(head + tables)
        (model / "train.py").write_text(TRAIN)

    def publish(self, change: Change) -> tuple[Path, Path, str]:
        """Folders of data and labels, and the id of the snapshot."""
        self.count += 1
        place, written = self.folder / f"{self.count}-snapshot", []
        for part, first in (("train", 0), ("holdout", ROWS)):
            dice = np.random.default_rng(first + 1)
            rows = {"AGE": dice.integers(0, 100, ROWS), "CODE": dice.integers(0, 100, ROWS)}
            rows["KIND"] = np.array(["x", "y", "z"])[dice.integers(0, 3, ROWS)]
            label = (rows["AGE"] + dice.normal(0, 20, ROWS) > 50).astype(np.int64)
            made = {name: each for name, each in change.rows(rows).items() if name in change.columns}
            table = {"id": np.arange(first, first + ROWS), **made}
            if part == "train":
                written += [self._write(place / "data" / "train" / "train.parquet", {**table, "y": label})]
            else:
                written += [self._write(place / "data" / "holdout" / "features.parquet", table)]
                written += [self._write(place / "labels" / "labels.parquet", {"id": table["id"], "y": label})]
        manifest = Manifest("income", "id", binary("y"), tuple(change.columns), (), *written, {})
        (place / "data" / "manifest.json").write_bytes(manifest.to_bytes())
        return place / "data", place / "labels", manifest.id

    @staticmethod
    def _write(file: Path, columns: dict[str, Any]) -> Part:
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), file)
        return Part(canonical.sha256(file.read_bytes()), ROWS)

    def train(self, data: Path, snapshot: str) -> tuple[Path, Path]:
        """The archive of the model that the code trains, and what was prepared."""
        prepared = self.run("prepare", snapshot, snapshot=data) / "processing" / "output" / "prepared"
        trained = self.run("train", snapshot, training=prepared)
        files = sorted(file for file in (trained / "model").rglob("*") if file.is_file())
        archive = trained / "model.tar.gz"
        archive.write_bytes(packed({str(file.relative_to(trained / "model")): file.read_bytes() for file in files}))
        return archive, prepared

    def judged(self, change: Change, champion: Path) -> Evidence:
        """The evidence of a commit with this change, evaluated beside the champion."""
        data, labels, snapshot = self.publish(change)
        self.check_out(change.columns)
        archive, prepared = self.train(data, snapshot)
        predicted = self.run("predict", snapshot, model=archive, prepared=prepared)
        self.check_out(BEFORE)  # the champion's own image
        asked = self.run("champion", snapshot, model=champion, snapshot=data)
        found = self.run(
            "evaluate",
            snapshot,
            **{
                "snapshot": data,
                "labels": labels,
                "model": archive,
                "predictions": predicted / "processing" / "output" / "predictions",
                "champion": asked / "processing" / "output" / "champion",
                "champion-model": champion,
            },
        )
        written = (found / "processing" / "output" / "evidence" / "evidence.json").read_bytes()
        return read_evidence(written, canonical.sha256(written))


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    made = Steps(tmp_path_factory.mktemp("steps"))
    with made.process:  # closes its input, which ends it
        yield made


@pytest.fixture(scope="module")
def champion(steps: Steps) -> Path:
    data, _, snapshot = steps.publish(Change(BEFORE))
    steps.check_out(BEFORE)
    return steps.train(data, snapshot)[0]


@pytest.fixture
def workflow(
    scripted: Any, sdk: Any, use: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    class Workflow(scripted):  # type: ignore[misc]
        service = "stepfunctions"

        def StartExecution(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            return {"executionArn": f"{MACHINE}:{request['name']}", "startDate": datetime.now(UTC)}

    monkeypatch.setenv("STATE_MACHINE_ARN", MACHINE)
    made = Workflow(sdk)
    use("stepfunctions", made.client)
    yield made
    made.close()


def waive(person: str, rule: str) -> int:
    day = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")
    body = {"model": "income", "version": "2", "environment": "dev", "rule": rule, "reason": "why", "expires": day}
    arn = f"arn:aws:sts::123456789012:assumed-role/lockgate-approver/{person}"
    return int(waiver.handler(signed.event(arn, body, "waiver"), None)["statusCode"])


@pytest.mark.parametrize("name", CHANGES)
def test_a_commit_that_changes_its_columns_is_registered_and_has_a_way_out(
    world: World, workflow: Any, steps: Steps, champion: Path, name: str
) -> None:
    change = CHANGES[name]
    evidence = steps.judged(change, champion)
    assert evidence.metrics["accuracy"].rows == ROWS, "the other rules have their numbers"
    if change.compared:
        assert evidence.champion is not None, evidence.champion_missing
        return
    assert (evidence.champion, bool(evidence.champion_missing)) == (None, True)
    world.register()
    release = serve(world, 1)
    file = world.root / "environments" / "dev.toml"
    file.write_text(file.read_text() + COMPARE)
    world.register(2)
    measured = {
        "roc_auc": {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
    }
    world.evaluate(2, {**accuracy(900), **measured}, champion_missing=evidence.champion_missing)
    world.predict_as_champion(2, release["image"])
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"
    said = reasons(world)["better"]
    assert evidence.champion_missing in said
    command = said.partition("`lockgate waive ")[2].partition("`")[0].split()
    assert command[:5] == ["VERSION", "--env", "ENV", "--rule", "better"], said
    assert (waive("amelie", "better"), waive("grace", "ranking")) == (403, 409), "no author, and no other rule"
    assert waive("grace", "better") == 200
    assert gate.handler(world.gate_event(2), None)["outcome"] == "passed"
    assert "inconclusive, waived by grace" in reasons(world)["better"]


def test_why_another_image_could_not_predict_is_no_reason_to_waive(world: World) -> None:
    world.register()
    serve(world, 1)
    file = world.root / "environments" / "dev.toml"
    file.write_text(file.read_text() + COMPARE)
    world.register(2)
    measured = {
        "roc_auc": {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
    }
    world.evaluate(2, {**accuracy(900), **measured}, champion_missing="KeyError: 'CODE'")
    world.predict_as_champion(2, f"x/lockgate-models@sha256:{'0' * 64}")
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"
    assert "`lockgate deliver COMMIT --again`" in reasons(world)["better"]
    assert "waive" not in reasons(world)["better"]
