"""Start, find and end the embedded AWS: what the command line needs, and the environment its commands run in."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import github
from local.clients import environment as client_environment
from local.clients import move_clock
from local.host import processes, tls
from local.settings import HOST, Settings
from lockgate.errors import LockgateError

_ROOT = Path(__file__).parent.parent
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 3.0
_NEEDED_BYTES = 500 * 1024 * 1024
_LOG_LINES = 15
# All that an instance writes into its state folder. Nothing else in that folder is ever removed.
_OWNED = (
    "aws",
    "children.json",
    "children.partial",
    "clock",
    "faults.json",
    "github",
    "home",
    "images",
    "instance.json",
    "logs",
    "ready",
    "recorded.json",
    "tls",
    "tmp",
    "work",
)

# Servers that this process started: an ended one is a zombie until its parent takes note.
_children: dict[int, subprocess.Popen[bytes]] = {}


class EmbeddedError(LockgateError):
    """The embedded AWS cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Session:
    """A running embedded AWS. accounts: name -> 12-digit id, as given to `start`."""

    settings: Settings
    accounts: dict[str, str]

    @property
    def profiles(self) -> set[str]:
        """The AWS profiles that exist here."""
        operators = {f"{name}-operator" for name in self.accounts if name != "tools"}
        return {*self.accounts, "ada", "ada-approver", "ada-break-glass", "grace", *operators}

    def environment(self, profile: str = "ada") -> dict[str, str]:
        """Variables under which any AWS tool talks to this instance as `profile`, whatever it inherits otherwise."""
        return {
            **client_environment(self.settings),
            "AWS_CONFIG_FILE": str(self.settings.aws_config_file),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.settings.aws_credentials_file),
            "AWS_PROFILE": profile,
            # Keys in the inherited environment would win over the profile; empty ones do not count as set.
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_SESSION_TOKEN": "",
        }

    def cdk_environment(self, profile: str = "ada") -> dict[str, str]:
        """`environment` for the CDK CLI: a home of its own, since it remembers account ids in ~/.cdk, and no telemetry.

        It keeps a compile cache too, which would land in the system's temporary folder.
        """
        home = self.settings.state / "home"
        home.mkdir(exist_ok=True)
        return {
            **self.environment(profile),
            "HOME": str(home),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "NODE_COMPILE_CACHE": str(home / "node"),
        }

    def clock(self, **wanted: bool | float) -> dict[str, Any]:
        """Move the clock (hold=True or False, advance=seconds; see local.gateway.clock); its state then."""
        return move_clock(self.settings, **wanted)

    def github(self, push: github.Push) -> dict[str, str]:
        """Variables that a workflow run on GitHub sees for this push (see local.github.run_environment)."""
        return github.run_environment(self.settings, push)


def start(settings: Settings, accounts: Mapping[str, str]) -> Session:
    """Start an instance and wait until it answers and its identities exist. EmbeddedError if it cannot."""
    if "tools" not in accounts:
        raise EmbeddedError(f"accounts must name 'tools'; found {', '.join(sorted(accounts)) or 'none'}")
    if importlib.util.find_spec("ministack") is None:
        raise EmbeddedError("the emulator (ministack) is not installed: run `pip install -r requirements.txt`")
    settings = dataclasses.replace(settings, state=settings.state.resolve())
    if _runs(_read_instance(settings.state)):
        raise EmbeddedError(f"it is already running (state in {settings.state}): end it with `lockgate down`")
    stop(settings.state)  # what an instance that died left behind
    settings.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.state).free
    if free < _NEEDED_BYTES:
        needed = _NEEDED_BYTES // 1024**2
        raise EmbeddedError(f"{settings.state} has {free // 1024**2} MB left and needs {needed}: free some space")
    for port in (settings.port, settings.proxy_port, settings.github_port):
        _refuse_if_taken(port)
    tls.make(settings)
    settings.logs.mkdir(exist_ok=True)
    session = Session(settings, dict(accounts))
    server = _spawn(session)
    try:
        _write_instance(session, server)
        _wait(settings, server)
    except BaseException:
        _end(settings.state)
        raise
    return session


def attach(state: Path) -> Session | None:
    """The instance that runs in `state`, once it answers; None otherwise."""
    instance = _read_instance(state)
    if instance is None or not _runs(instance):
        return None
    ports = (instance["port"], instance["proxy_port"], instance["github_port"])
    settings = Settings(state.resolve(), *ports, instance["region"])
    return Session(settings, instance["accounts"]) if settings.ready_file.exists() else None


def stop(state: Path) -> bool:
    """End the instance of `state` and remove what it wrote there. False if none was running.

    An instance that had died is said so on standard error; processes it left behind are ended.
    """
    instance = _read_instance(state)
    running = _runs(instance)
    if instance is not None and not running:
        sys.stderr.write("the embedded AWS had died; its state is gone\n")
    _end(state)
    return running


def _end(state: Path) -> None:
    """End the server if it still runs and what it left running if not; then remove the files."""
    instance = _read_instance(state)
    if instance is not None:
        processes.end({instance["pid"]: instance["started"]}, within=2 * _STOP_SECONDS)
        if instance["pid"] in _children:
            _children.pop(instance["pid"]).wait()
    children = state / "children.json"
    if children.exists():
        processes.end({int(pid): started for pid, started in json.loads(children.read_text()).items()})
    for name in _OWNED:
        path = state / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if state.is_dir() and not any(state.iterdir()):
        state.rmdir()


def free_port(wanted: int | None = None) -> int:
    """The first of the neighbouring ports to listen on: what is wanted, else the usual ones or, where somebody listens
    there, the next that are free. Raises EmbeddedError where those that are wanted are taken.
    """
    if wanted is not None:
        for port in _neighbours(wanted):
            _refuse_if_taken(port)
        return wanted
    for first in range(Settings.port, Settings.port + 100 * len(_neighbours(0)), len(_neighbours(0))):
        with suppress(EmbeddedError):
            return free_port(first)
    raise EmbeddedError(f"no three free ports on {HOST} from {Settings.port}: name the first of three with --port")


def _neighbours(port: int) -> range:
    return range(port, port + 3)


def _refuse_if_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            hint = (
                "is it an embedded AWS of another folder? Then end it there with `lockgate down`, or name other ports "
                "with --port; without --port, free ones are taken"
            )
            raise EmbeddedError(f"port {port} on {HOST} is in use ({error.strerror}); {hint}") from error


def _spawn(session: Session) -> subprocess.Popen[bytes]:
    settings = session.settings
    command = [sys.executable, "-m", "local.server", "--state", str(settings.state), "--region", settings.region]
    command += ["--port", str(settings.port), "--proxy-port", str(settings.proxy_port)]
    command += ["--github-port", str(settings.github_port)]
    command += [f"--account={name}={account}" for name, account in session.accounts.items()]
    with settings.server_log.open("wb") as log:
        server = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    _children[server.pid] = server
    return server


def _write_instance(session: Session, server: subprocess.Popen[bytes]) -> None:
    settings = session.settings
    instance = {
        "pid": server.pid,
        "started": processes.identity(server.pid),
        "port": settings.port,
        "proxy_port": settings.proxy_port,
        "github_port": settings.github_port,
        "region": settings.region,
        "accounts": session.accounts,
    }
    (settings.state / "instance.json").write_text(json.dumps(instance))


def _read_instance(state: Path) -> dict[str, Any] | None:
    file = state / "instance.json"
    if not file.exists():
        return None
    instance: dict[str, Any] = json.loads(file.read_text())
    return instance


def _runs(instance: dict[str, Any] | None) -> bool:
    return instance is not None and processes.identity(instance["pid"]) == instance["started"]


def _wait(settings: Settings, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not settings.ready_file.exists():
        ended = server.poll() is not None
        if ended or time.monotonic() > deadline:
            what = f"ended with status {server.returncode}" if ended else f"is silent after {_START_SECONDS:.0f} s"
            lines = settings.server_log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            raise EmbeddedError("\n".join([f"the embedded AWS {what}; its last words:", *lines]))
        time.sleep(_POLL_SECONDS)
