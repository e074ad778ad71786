"""A small snapshot of the real data, and jobs that run the real steps on it in folders of their own."""

from __future__ import annotations

import shutil
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from lockgate import canonical
from lockgate.configuration.model import Model, read_model
from lockgate.data.snapshot import Manifest, Part
from runtime.job import Job
from runtime.predict import predict
from runtime.prepare import prepare
from runtime.train import train
from tests.archives import packed

settings.register_profile("patient", deadline=None)  # the first example may import a library
settings.load_profile("patient")

ROOT = Path(__file__).parents[3]
TRAIN_ROWS, HOLDOUT_ROWS = 4000, 1500


@dataclass(frozen=True)
class Snapshot:
    """Folders as the buckets have them, and what is in them."""

    data: Path
    labels: Path
    manifest: Manifest
    train: pa.Table
    holdout: pa.Table

    def published(self, folder: Path, *, train: pa.Table | None = None, holdout: pa.Table | None = None) -> Snapshot:
        """The same with other rows, published anew: digests and rows fit."""
        return publish(folder, self.manifest, self.train if train is None else train, holdout or self.holdout)


def publish(folder: Path, manifest: Manifest, train_rows: pa.Table, holdout_rows: pa.Table) -> Snapshot:
    data, labels = folder / "data", folder / "labels"
    for place in (data / "train", data / "holdout", labels):
        place.mkdir(parents=True)
    columns = [name for name in holdout_rows.column_names if name not in (manifest.target.name, "year")]
    manifest = replace(
        manifest,
        train=written(train_rows, data / "train" / "train.parquet"),
        holdout_features=written(holdout_rows.select(columns), data / "holdout" / "features.parquet"),
        holdout_labels=written(
            holdout_rows.select([manifest.identifier, manifest.target.name]), labels / "labels.parquet"
        ),
    )
    (data / "manifest.json").write_bytes(manifest.to_bytes())
    return Snapshot(data, labels, manifest, train_rows, holdout_rows)


def written(table: pa.Table, file: Path) -> Part:
    pq.write_table(table, file)
    return Part(canonical.sha256(file.read_bytes()), table.num_rows)


@pytest.fixture(scope="session")
def model() -> Model:
    return read_model(ROOT / "model" / "employment")


@pytest.fixture(scope="session")
def snapshot(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    nothing = Part("", 0)
    features = tuple(feature.name for feature in model.features)
    manifest = Manifest(
        model.name, model.identifier, model.target, features, model.protected, nothing, nothing, nothing, {}
    )
    rows = [
        pq.read_table(ROOT / file).slice(0, count).drop_columns(["year"])
        for file, count in ((model.train_data, TRAIN_ROWS), (model.holdout_data, HOLDOUT_ROWS))
    ]
    return publish(tmp_path_factory.mktemp("snapshot"), manifest, *rows)


@pytest.fixture(scope="session")
def environment(snapshot: Snapshot) -> dict[str, str]:
    return {
        "MODEL": "employment",
        "SNAPSHOT": snapshot.manifest.id,
        "COMMIT": "c" * 40,
        "IMAGE": "registry/lockgate-models@sha256:" + "1" * 64,
        "ACTOR": "ana",
        "EXECUTION": "arn:aws:sagemaker:us-east-1:111111111111:pipeline/lockgate-employment/execution/abc",
    }


JobWith = Callable[[Mapping[str, Path]], Job]


@pytest.fixture
def job_with(tmp_path: Path, environment: dict[str, str]) -> Iterator[JobWith]:
    """A processing job whose inputs are copies of the given files and folders."""

    def make(inputs: Mapping[str, Path]) -> Job:
        root = tmp_path / "job"
        return Job(*with_inputs(root, inputs), environment)

    yield make


def with_inputs(root: Path, inputs: Mapping[str, Path]) -> tuple[Path]:
    for name, source in inputs.items():
        target = root / "processing" / "input" / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.mkdir(parents=True)
            shutil.copy(source, target / source.name)
    return (root,)


@dataclass(frozen=True)
class TrainedModel:
    """What the steps before evaluation left: folders by name, the archive, and the training job's root."""

    prepared: Path
    training: Path
    archive: Path
    predictions: Path


@pytest.fixture(scope="session")
def run(snapshot: Snapshot, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """The three steps of a commit's image, really run once."""
    root = tmp_path_factory.mktemp("run")
    first = Job(*with_inputs(root / "prepare", {"snapshot": snapshot.data}), environment)
    prepare(first)
    prepared = first.outputs / "prepared"
    training = root / "train"
    shutil.copytree(prepared, training / "input" / "data" / "train")
    train(Job(training, environment))
    archive = root / "model.tar.gz"
    archive.write_bytes(packed({file.name: file.read_bytes() for file in (training / "model").iterdir()}))
    last = Job(*with_inputs(root / "predict", {"model": archive, "prepared": prepared}), environment)
    predict(last)
    return TrainedModel(prepared, training, archive, last.outputs / "predictions" / "predictions.parquet")


@pytest.fixture(scope="session", name="packed")
def packed_fixture() -> Callable[[Mapping[str, bytes]], bytes]:
    return packed


@pytest.fixture
def ecs_tells() -> Iterator[Callable[[bytes], str]]:
    """ecs_tells(answer): a container's own metadata URL, behind which `/task` gives this answer."""
    with ExitStack() as opened:

        def serve(answer: bytes) -> str:
            class Handler(socketserver.StreamRequestHandler):
                def handle(self) -> None:
                    request = self.rfile.readline()
                    while self.rfile.readline().strip():
                        pass
                    self.wfile.write(answer if request.startswith(b"GET /v4/1f/task ") else b"HTTP/1.0 404 No\r\n\r\n")

            server = opened.enter_context(socketserver.TCPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            opened.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}/v4/1f"

        yield serve
