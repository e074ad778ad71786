"""A small model, trained by the real step, and real servers of it in processes of their own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lockgate.configuration.model import Model, read_model
from runtime.archive import read_archive
from runtime.artifact import answers, read_artifact
from runtime.frames import frame_of_instances
from runtime.job import Job
from runtime.train import train
from tests.ports import free_ports

ROOT = Path(__file__).parents[4]
JSON = "application/json"
Instances = list[dict[str, Any]]


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class ServingProcess:
    """A running server; `process` is its first process."""

    port: int
    process: subprocess.Popen[bytes]

    def ask(
        self, method: str, path: str, body: bytes | None = None, media_type: str | None = JSON, **headers: str
    ) -> HttpAnswer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            if media_type and body is not None:
                named["content-type"] = media_type
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return HttpAnswer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def invoke(self, document: object) -> HttpAnswer:
        return self.ask("POST", "/invocations", json.dumps(document).encode())

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def alive(self) -> bool:
        return self.ask("GET", "/ping").status == 200 and self.process.poll() is None


@pytest.fixture(scope="session")
def model() -> Model:
    return read_model(ROOT / "model" / "employment")


@pytest.fixture(scope="session")
def archive(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.tar.gz, trained on 4,000 rows."""
    root = tmp_path_factory.mktemp("training")
    channel = root / "input" / "data" / "train"
    channel.mkdir(parents=True)
    for name, data in (("train", model.train_data), ("holdout", model.holdout_data)):
        pq.write_table(pq.read_table(ROOT / data).slice(0, 4000), channel / f"{name}.parquet")
    train(Job(root, {"MODEL": model.name}))
    with tarfile.open(root / "model.tar.gz", "w:gz") as made:
        made.add(root / "model", ".")
    return root / "model.tar.gz"


@pytest.fixture(scope="session")
def instances(model: Model) -> Instances:
    """Rows of the holdout."""
    table = pq.read_table(ROOT / model.holdout_data).slice(0, 2000)
    rows: Instances = table.select([feature.name for feature in model.features]).to_pylist()
    return rows


@pytest.fixture(scope="session")
def expected(model: Model, archive: Path, instances: Instances) -> list[float]:
    """What scikit-learn itself predicts for `instances`."""
    estimator = read_artifact(read_archive(archive.read_bytes()), model)
    found: list[float] = answers(estimator, frame_of_instances(instances, model), model).tolist()
    return found


Serve = Callable[..., AbstractContextManager[ServingProcess]]


@pytest.fixture(scope="session")
def serve(archive: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Start a server with further settings; it is ready when it is given and stopped afterwards."""

    @contextmanager
    def start(port: int | None = None, **settings: str) -> Iterator[ServingProcess]:
        port = port or free_ports(1)
        folder = tmp_path_factory.mktemp("server")
        environment = {
            **os.environ,
            "MODEL": model.name,
            "MODEL_ARCHIVE": str(archive),
            "BIND_HOST": "127.0.0.1",
            "BIND_PORT": str(port),
            "ML_ROOT": str(folder),
            **settings,
        }
        command = [sys.executable, "-m", "bench.serving.ours"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        served = ServingProcess(port, process)
        try:
            wait_until_ready(served, folder / "log")
            yield served
            assert b"Traceback" not in (folder / "log").read_bytes()
        finally:
            stop(process)
            shutil.rmtree(folder, ignore_errors=True)

    return start


@pytest.fixture(scope="session")
def served(serve: Serve) -> Iterator[ServingProcess]:
    """One server that tests share."""
    with serve() as server:
        yield server


def wait_until_ready(served: ServingProcess, log: Path) -> None:
    for _ in range(600):
        assert served.process.poll() is None, log.read_text()
        try:
            if served.ask("GET", "/ping").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not start: " + log.read_text())


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
