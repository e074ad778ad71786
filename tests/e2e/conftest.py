"""One run of the demo on an embedded AWS of its own: most tests of this folder look at what it left."""

from __future__ import annotations

import configparser
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local import embedded
from lockgate import names

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TIMEOUT = 900

# Where this process looks for ports next: no two of its servers are given the same, and seldom those of another suite.
_ports = itertools.count(20000 + 20 * (os.getpid() % 500), 5)


def first_free(count: int) -> int:
    """The first of `count` neighbouring free ports on loopback, five at most; the same ones are given once."""
    for first in itertools.islice(_ports, 400):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], int]:
    return first_free


@dataclass(frozen=True)
class FinishedDemo:
    """What a run of the demo printed, and how to go on from where it ended."""

    state: Path
    build: Path
    output: str
    root: Path = ROOT

    @property
    def clone(self) -> Path:
        return self.build / "clone"

    @property
    def session(self) -> embedded.Session:
        session = embedded.attach(self.state)
        assert session is not None, "the embedded AWS has died"
        return session

    def run(self, *command: str, cwd: Path | None = None, profile: str = "ada") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd or self.root,
            env=self.environment(profile),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )

    @property
    def paths(self) -> dict[str, str]:
        return paths(self.state)

    def environment(self, profile: str) -> dict[str, str]:
        return {**os.environ, **self.session.cdk_environment(profile), **self.paths}

    def lockgate(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("lockgate", *arguments, **options)

    def facts(self, *arguments: str, **options: Any) -> Any:
        done = self.lockgate(*arguments, "--json", **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def client(self, service: str, profile: str) -> Any:
        """A client as the administrator of an account, or another user; not as a role."""
        settings, parser = self.session.settings, configparser.RawConfigParser()
        parser.read(settings.aws_credentials_file)
        return boto3.Session(**dict(parser[profile]), region_name=settings.region).client(
            service, endpoint_url=settings.endpoint, verify=str(settings.ca_bundle), config=Config(proxies={})
        )

    def collect(self) -> list[str]:
        """Invoke the function that a schedule invokes; the records it made."""
        functions = self.client("lambda", "tools")
        answer = functions.invoke(FunctionName=names.CONTROLLER_FUNCTION, Payload=json.dumps({"action": "collect"}))
        said = json.load(answer["Payload"])
        assert "FunctionError" not in answer, said
        recorded: list[str] = said["recorded"]
        return recorded


@pytest.fixture(scope="session")
def new_demo() -> type[FinishedDemo]:
    return FinishedDemo


def paths(state: Path) -> dict[str, str]:
    path = os.pathsep.join((str(BIN), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]))
    return {"PATH": path, "LOCKGATE_LOCAL_STATE": str(state)}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedDemo]:
    yield from _demo(tmp_path_factory)


@pytest.fixture(scope="module")
def nothing_scheduled(demo: FinishedDemo) -> Iterator[None]:
    """For the rest of a module: what a schedule would mend within minutes does not go before it was looked at."""
    rules = [
        (events, rule["Name"])
        for account in demo.session.accounts
        for events in [demo.client("events", account)]
        for rule in events.list_rules()["Rules"]
        if rule.get("ScheduleExpression")
    ]
    for events, rule in rules:
        events.disable_rule(Name=rule)
    demo.collect()
    yield
    for events, rule in rules:
        events.enable_rule(Name=rule)


@pytest.fixture(scope="module")
def fresh_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedDemo]:
    """A demo of a module's own, for tests that ask nothing of what others left."""
    yield from _demo(tmp_path_factory)


@dataclass(frozen=True)
class Sample:
    """Runs of `make faults` that are under way."""

    runs: int
    process: subprocess.Popen[bytes]
    facts: Path
    log: Path


@pytest.fixture(scope="session", autouse=True)
def sample_of_faults(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sample | None]:
    """Begun before the first test of this folder, on an embedded AWS of its own: the others mostly wait meanwhile."""
    wanted = any(item.path.name == "test_under_faults.py" for item in request.session.items)
    if not wanted or sys.platform != "linux":
        yield None
        return
    folder = tmp_path_factory.mktemp("faults")
    sample = {"runs": 20, "seed": 1, "workers": 1, "port": first_free(3)}
    options = {**sample, "build": folder / "build", "json": folder / "faults.json"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    log = folder / "faults.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.faults", *words],
            cwd=ROOT,
            env={**os.environ, "PATH": paths(folder)["PATH"]},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Sample(sample["runs"], process, options["json"], log)
    finally:
        try:
            if process.poll() is None:  # its test was not reached
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(TIMEOUT)
        finally:
            embedded.stop(options["build"] / "state")


def _demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedDemo]:
    folder = tmp_path_factory.mktemp("demo")
    state, build = folder / "state", folder / "build"
    command = [sys.executable, "-m", "demo", "--port", str(first_free(3)), "--build", str(build)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **paths(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    try:
        assert done.returncode == 0, done.stdout
        yield FinishedDemo(state, build, done.stdout)
    finally:
        embedded.stop(state)
