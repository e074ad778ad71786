"""What is left when somebody or something ends the demo or the embedded AWS in the middle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.demos import paths
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, **paths(tmp_path / "state")}


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def processes_that_name(path: Path) -> list[str]:
    """Command lines of running processes with `path` in them, or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(path).encode() in said and int(process.name) != os.getpid():
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running(
    tmp_path: Path, environment: dict[str, str], how: signal.Signals
) -> None:
    command = [sys.executable, "-m", "demo", "--port", str(free_ports(3)), "--build", str(tmp_path / "build")]
    demo = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(lambda: any((tmp_path / "build").glob("*bootstrap-*.log")), 120)
    demo.send_signal(how)
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, output
    assert "interrupted; nothing is left running" in output
    wait_for(lambda: processes_that_name(tmp_path) == [], 10)
    assert not (tmp_path / "state").exists()


def lockgate(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["lockgate", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_killed_embedded_aws_is_said_so_and_the_next_one_starts_clean(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    port = str(free_ports(3))
    assert lockgate(environment, "up", "--port", port).returncode == 0
    killed = json.loads((tmp_path / "state" / "instance.json").read_text())["pid"]
    os.kill(killed, signal.SIGKILL)
    again = lockgate(environment, "up", "--port", port)
    assert again.returncode == 0, again.stderr
    assert "had died; its state is gone" in again.stderr
    assert lockgate(environment, "down").returncode == 0


def test_a_port_in_use_is_one_clear_line(environment: dict[str, str]) -> None:
    port = free_ports(3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = lockgate(environment, "up", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1
