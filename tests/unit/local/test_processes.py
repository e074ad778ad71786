"""Which processes work: the embedded AWS's clock stands while one that starts does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from local.host import processes


@pytest.fixture
def begun() -> Iterator[subprocess.Popen[bytes]]:
    """A process that computes."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process
    process.kill()
    process.wait()


def idle(pid: int) -> bool:
    processes.busy(pid)
    time.sleep(0.05)
    return not processes.busy(pid)


def test_a_process_that_computes_is_busy(begun: subprocess.Popen[bytes]) -> None:
    assert processes.busy(begun.pid)
    assert not idle(begun.pid)


def test_a_process_that_waits_is_not_and_counts_as_busy_when_one_below_it_is() -> None:
    shell = subprocess.Popen(["sh", "-c", "read ignored; while :; do :; done & read ignored"], stdin=subprocess.PIPE)
    try:
        until = time.monotonic() + 60
        while not idle(shell.pid):
            assert time.monotonic() < until
        assert shell.stdin is not None
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        while idle(shell.pid):
            assert time.monotonic() < until
        assert not idle(shell.pid)
    finally:
        processes.end({shell.pid: processes.identity(shell.pid) or "", **processes.descendants(shell.pid)})
        shell.communicate()


def test_a_process_that_is_gone_is_not_busy() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert idle(process.pid)
