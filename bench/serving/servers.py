"""The servers that are compared: how each is started, asked and stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 120.0


@dataclass(frozen=True)
class Contender:
    """`command` may contain {port}. `key` names the rows in a request; empty: a GET without a body."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/invocations"
    key: str = "instances"


@dataclass(frozen=True)
class RunningServer:
    """A server that has answered its first request."""

    url: str
    process: int
    ready_seconds: float
    first: Any

    def memory_mb(self) -> float:
        """Memory of the server's processes, shared pages counted once (PSS)."""
        return sum(_memory_mb(process, "Pss") for process in _descendants(self.process))

    def own_memory_mb(self) -> float:
        """What its processes have allocated, without the pages of files: those count for more when others let go."""
        return sum(_memory_mb(process, "Anonymous") for process in _descendants(self.process))

    def cpu_seconds(self) -> float:
        """Processor time that the server's processes have used."""
        return sum(map(_cpu_seconds, _descendants(self.process)))


@contextmanager
def running(server: Contender, root: Path, log: Path, body: bytes | None) -> Iterator[RunningServer]:
    """Start, wait for the first answer, stop. Raises RuntimeError when it ends or does not answer."""
    port = free_port()
    environment = {
        **os.environ,
        **server.environment,
        "PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "BIND_PORT": str(port),
    }
    command = [part.replace("{port}", str(port)) for part in server.command]
    url = f"http://127.0.0.1:{port}{server.path}"
    with log.open("ab") as output:
        begin = time.monotonic()
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        first = _first_answer(process, url, body, begin + START_SECONDS, log)
        yield RunningServer(url, process.pid, time.monotonic() - begin, first)
    finally:
        _stop(process)


def _descendants(process: int) -> set[int]:
    """The process, its children and theirs: some servers start workers in a session of their own."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _memory_mb(process: int, kind: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _cpu_seconds(process: int) -> float:
    with suppress(OSError):
        user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _first_answer(process: subprocess.Popen[bytes], url: str, body: bytes | None, deadline: float, log: Path) -> Any:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{log.stem} ended with {process.returncode}; its output is in {log}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise RuntimeError(f"{log.stem} answers {error.code}: {error.read()[:500]!r}") from error
            time.sleep(0.02)
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{log.stem} did not answer in {START_SECONDS:g} s; its output is in {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to all its processes, then SIGKILL to what is left of this group."""
    for kind, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, kind)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        time.sleep(0.3)
