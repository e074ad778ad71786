"""Models of other tasks through the real steps of a pipeline, the gate's judgement, and the real server.

Each runs in processes of its own, in a folder that has what the image of a commit has.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cli.commands.snapshot import parts_of, validated
from examples.rows import EXAMPLES, made
from lockgate import canonical
from lockgate.configuration.model import Model, read_model
from lockgate.data.snapshot import Manifest, Part
from lockgate.evidence.document import Evidence, read_evidence
from lockgate.gate.verdict import Circumstances, Judgement, Outcome, judge
from lockgate.policy.fit import refuse_unfit
from lockgate.policy.of_model import read_model_policy
from lockgate.release import replay
from runtime.tasks.arrays import arrays_of
from tests.archives import packed
from tests.ports import free_ports

ROOT = Path(__file__).parents[3]
IMAGE = "1.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "a" * 64


@dataclass(frozen=True)
class Example:
    """An image's folder with one model, and where its jobs are."""

    model: Model
    app: Path
    jobs: Path
    manifest: Manifest

    def environment(self, root: Path, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(self.app),
            "ML_ROOT": str(root),
            "MODEL": self.model.name,
            "SNAPSHOT": self.manifest.id,
            "COMMIT": "c" * 40,
            "IMAGE": IMAGE,
            "EXECUTION": "arn:aws:sagemaker:us-east-1:111111111111:pipeline/lockgate/execution/1",
            "ACTOR": "ana",
            **more,
        }

    def step(self, *module: str, root: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *module], cwd=self.app, env=self.environment(root), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def processing(self, step: str, module: tuple[str, ...], **inputs: Path) -> Path:
        """PipelineOutput a processing job on copies of files and folders; its outputs."""
        root = self.jobs / step
        for name, source in inputs.items():
            target = root / "processing" / "input" / name
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.mkdir(parents=True)
                shutil.copy(source, target)
        self.step(*module, root=root)
        return root / "processing" / "output"


def publish(model: Model, folder: Path) -> Manifest:
    """The snapshot as `lockgate snapshot` publishes it, after it looked at every row."""
    train, holdout = made(model.name)
    validated(train, holdout, model)
    tables = parts_of(train, holdout, model)
    files = ("data/train/train.parquet", "data/holdout/features.parquet", "labels/labels.parquet")
    features, written = [feature.name for feature in model.features], []
    for name, table in zip(files, tables.values(), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name)
        written.append(Part(canonical.sha256((folder / name).read_bytes()), table.num_rows))
    manifest = Manifest(model.name, model.identifier, model.target, tuple(features), model.protected, *written, {})
    (folder / "data" / "manifest.json").write_bytes(manifest.to_bytes())
    return manifest


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    folder = tmp_path_factory.mktemp(request.param)
    app = folder / "app"
    for part in ("lockgate", "runtime"):
        shutil.copytree(ROOT / part, app / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "examples" / request.param, app / "model" / request.param)
    model = read_model(app / "model" / request.param)
    return Example(model, app, folder / "jobs", publish(model, folder / "jobs" / "snapshot"))


@dataclass(frozen=True)
class PipelineOutput:
    """What the pipeline left: the archive, the unpacked model, the evidence and the recorded rows."""

    archive: Path
    root: Path
    evidence: Evidence
    recorded: bytes


@pytest.fixture(scope="module")
def run(example: Example) -> PipelineOutput:
    """The whole pipeline, and again with the model as the champion that is served."""
    jobs, snapshot = example.jobs, example.jobs / "snapshot"
    prepared = example.processing("prepare", ("runtime", "prepare"), snapshot=snapshot / "data") / "prepared"
    training = jobs / "train"
    shutil.copytree(prepared, training / "input" / "data" / "train")
    example.step("runtime", "train", root=training)
    archive = jobs / "model.tar.gz"
    archive.write_bytes(packed(files_of(training / "model")))
    predicted = example.processing("predict", ("runtime", "predict"), model=archive, prepared=prepared) / "predictions"
    served = example.processing("champion", ("runtime", "champion"), model=archive, snapshot=snapshot / "data")
    found = example.processing(
        "evaluate",
        ("runtime.evaluate",),
        **{
            "snapshot": snapshot / "data",
            "labels": snapshot / "labels",
            "model": archive,
            "predictions": predicted,
            "champion": served / "champion",
            "champion-model": archive,
        },
    )
    written = (found / "evidence" / "evidence.json").read_bytes()
    evidence = read_evidence(written, canonical.sha256(written))
    return PipelineOutput(archive, training, evidence, (found / "evidence" / "replay.json").read_bytes())


def files_of(folder: Path) -> dict[str, bytes]:
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def judged(example: Example, evidence: Evidence) -> Judgement:
    policy = read_model_policy(example.app / "model" / example.model.name).in_environment("dev", ())
    for rule in policy.rules:
        refuse_unfit(rule, example.model.target, "policy.toml")
    assert evidence.champion is not None, evidence.champion_missing
    return judge(policy, evidence, Circumstances(0.01, champion_sha256=evidence.champion.model_sha256))


def test_it_is_judged_by_its_own_policy_beside_its_champion(example: Example, run: PipelineOutput) -> None:
    judgement = judged(example, run.evidence)
    assert judgement.outcome is Outcome.PASSED, [reason.message for reason in judgement.reasons]
    assert {metric.rows for metric in run.evidence.metrics.values()} <= set(range(1, 4001))


def test_a_model_that_answers_the_same_for_every_row_is_refused(example: Example, run: PipelineOutput) -> None:
    target, (_, holdout) = example.model.target, made(example.model.name)
    arrays = arrays_of(target)
    same = np.full((holdout.num_rows, target.outputs), 1 / max(2, len(target.classes)) if target.classes else 4e6)
    predictions = same if target.outputs > 1 else same[:, 0]
    threshold = 0.5 if run.evidence.threshold else None
    metrics = arrays.measure(arrays.truth(holdout[target.name], target), predictions, target, threshold)
    judgement = judged(example, replace(run.evidence, metrics={**run.evidence.metrics, **metrics}))
    assert judgement.reasons[0].outcome is Outcome.FAILED, judgement.reasons[0].message


def test_a_threshold_is_fitted_where_one_is_asked_for(example: Example, run: PipelineOutput) -> None:
    facts = json.loads((run.root / "model" / "model.json").read_bytes())
    assert ("threshold" in facts) == (example.model.name == "refunds")
    assert run.evidence.threshold == facts.get("threshold")
    if example.model.name == "refunds":
        assert 0.01 < run.evidence.threshold < 0.3, "a fraud costs twenty looks"


def test_an_attribute_that_is_no_feature_is_judged_in_bins_and_given_to_nobody(
    example: Example, run: PipelineOutput
) -> None:
    if example.model.name != "refunds":
        assert not any(group for group in run.evidence.groups if group not in run.evidence.features)
        return
    _, holdout = made("refunds")
    ages = holdout["customer_age"].to_numpy()
    expected = {"18 to 29": (ages < 30), "30 to 59": (ages >= 30) & (ages < 60), "60 to 110": ages >= 60}
    found = {name: group.rows for name, group in run.evidence.groups["customer_age"].items()}
    assert found == {name: int(rows.sum()) for name, rows in expected.items()}
    decided = {reason.rule: reason.outcome for reason in judged(example, run.evidence).reasons}
    assert decided["looks are shared by age"] is Outcome.PASSED
    given = example.jobs / "prepare" / "processing" / "output" / "prepared"
    for file in (*given.glob("*.parquet"), *(example.jobs / "snapshot" / "data").rglob("*.parquet")):
        assert "customer_age" not in pq.read_schema(file).names, file
    assert "customer_age" not in json.loads(run.recorded)["instances"][0]


def test_two_trainings_give_the_same_bytes(example: Example, run: PipelineOutput) -> None:
    again = example.jobs / "again"
    shutil.copytree(run.root / "input", again / "input")
    example.step("runtime", "train", root=again)
    assert files_of(again / "model") == files_of(run.root / "model")


def test_the_real_server_answers_as_evaluation_did(example: Example, run: PipelineOutput) -> None:
    port = free_ports(1)
    released = {"RELEASE_VERSION": "1", "RELEASE_COMMIT": "c" * 40, "VERDICT_ID": "m/1"}
    place = {
        "BIND_HOST": "127.0.0.1",
        "BIND_PORT": str(port),
        "MODEL_CONTENTS_SHA256": canonical.contents_sha256(files_of(run.root / "model")),
    }
    environment = example.environment(run.root, **released, **place)
    server = subprocess.Popen([sys.executable, "-m", "runtime", "serve"], cwd=example.app, env=environment)
    try:
        rows = replay.read_rows(run.recorded, canonical.sha256(run.recorded))
        answer = asked(port, {"instances": list(rows.instances)})
    finally:
        server.terminate()
        server.wait(30)
    parity = replay.compare(rows, answer["predictions"], 1e-9)
    assert parity.passed, parity.message
    assert answer.get("classes", []) == list(example.model.target.classes)
    assert answer.get("threshold") == run.evidence.threshold


def asked(port: int, body: dict[str, Any]) -> dict[str, Any]:
    """The answer, as soon as the server listens."""
    for _ in range(150):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", "/invocations", json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
        except ConnectionError:
            time.sleep(0.2)
            continue
        finally:
            connection.close()
        assert answer.status == 200, found
        return found
    raise AssertionError("the server does not listen")
