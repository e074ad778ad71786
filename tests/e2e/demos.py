"""Demos on an embedded AWS of their own, and how far tests have brought them.

No test depends on another. Each says which steps lie before it, and a demo is brought there. What a failed test or step
left is not gone on from: the next test has a demo of its own.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from demo import main_job as demonstration
from local import embedded
from local.settings import Settings
from lockgate import names
from lockgate.configuration.project import read_configuration
from tests.ports import free_ports

if TYPE_CHECKING:
    from tests.conftest import Issuer

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TIMEOUT = 900

Step = Callable[["FinishedDemo"], Any]
Make = Callable[[Path], "FinishedDemo"]


@dataclass
class FinishedDemo:
    """What a run of the demo printed, and how to go on from where it ended."""

    state: Path
    build: Path
    output: str
    root: Path = ROOT
    taken: dict[Step, Any] = field(default_factory=dict)
    scheduled: bool = True
    issuer: Issuer | None = None  # of its callers' tokens

    def take(self, step: Step) -> Any:
        """What a step gives; it is taken once."""
        if step not in self.taken:
            self.taken[step] = step(self)
        return self.taken[step]

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

    def unschedule(self) -> None:
        """For the rest of this demo: what a schedule would mend within minutes does not go before it was looked at."""
        if not self.scheduled:
            return
        for account in self.session.accounts:
            events = self.client("events", account)
            for rule in events.list_rules()["Rules"]:
                if rule.get("ScheduleExpression"):
                    events.disable_rule(Name=rule["Name"])
        self.collect()
        self.scheduled = False


def paths(state: Path) -> dict[str, str]:
    """The variables by which a process finds our commands, and the embedded AWS of a state."""
    path = os.pathsep.join((str(BIN), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]))
    return {"PATH": path, "LOCKGATE_LOCAL_STATE": str(state)}


def run_demo(folder: Path) -> FinishedDemo:
    """What `make demo` does, in a folder of its own."""
    state, build = folder / "state", folder / "build"
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--port", str(free_ports(3)), "--build", str(build)],
        cwd=ROOT,
        env={**os.environ, **paths(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout
    return FinishedDemo(state, build, done.stdout)


def run_first_release(folder: Path, root: Path = ROOT) -> FinishedDemo:
    """Only the part of it that brings a first version to every environment, of the project in root."""
    state, build, port = folder / "state", folder / "build", free_ports(3)
    build.mkdir()
    configuration = read_configuration(root)
    settings = Settings(state, port, port + 1, port + 2, configuration.tools.region)
    made = FinishedDemo(state, build, "", root)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.paths.items():
            patch.setenv(name, value)
        demonstration.first_release(demonstration.Demo(configuration, settings, build, root))
    return made


class Demos:
    """The demo that tests of a module go on from: made when one needs it, and anew when the last is of no use."""

    def __init__(self, make: Make, new_folder: Callable[[], Path]) -> None:
        self._make, self._new_folder = make, new_folder
        self._folder: Path | None = None
        self._demo: FinishedDemo | None = None
        self._failed: dict[tuple[Step, ...], BaseException] = {}

    def after(self, *steps: Step) -> FinishedDemo:
        """One on which these steps were taken, in this order, and no others. What failed once is not tried again."""
        if self._demo is None or list(self._demo.taken) != list(steps[: len(self._demo.taken)]):
            self.end()
            self._demo = self._try((), self._begin)
        for number, step in enumerate(steps):
            self._try(steps[: number + 1], partial(self._demo.take, step))
        return self._demo

    def _begin(self) -> FinishedDemo:
        self._folder = self._new_folder()
        return self._make(self._folder)

    def _try(self, steps: tuple[Step, ...], act: Callable[[], Any]) -> Any:
        if steps in self._failed:
            raise self._failed[steps]
        try:
            return act()
        except BaseException as error:
            self._failed[steps] = error
            self.end()
            raise

    def end(self) -> None:
        if self._folder is not None:
            embedded.stop(self._folder / "state")
        self._folder = self._demo = None
