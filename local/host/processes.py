"""Which processes are ours, and how they end: a process is named by pid and start time, never by pid alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_POLL = 0.02


def identity(pid: int) -> str | None:
    """Start time of the running process `pid`, in the system's own words; None if it is gone or a zombie.

    A recycled pid has another start time, so (pid, identity) names one process for good.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return None if len(answer) < 2 or answer[0].startswith("Z") else answer[1].strip()


def descendants(pid: int) -> dict[int, str]:
    """Every running process below `pid`, as pid -> identity."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found: dict[int, str] = {}
    waiting = list(children.get(pid, []))
    while waiting:
        child = waiting.pop()
        started = identity(child)
        if started is not None:
            found[child] = started
        waiting += children.get(child, [])
    return found


def busy(pid: int) -> bool:
    """Whether a process, or one below it, runs, or has run since this was last asked; one that only waits does not.

    One that cannot run since others do counts: it would.
    """
    threads = [thread for each in (pid, *descendants(pid)) for thread in _threads(each)]
    before, _threads_before[pid] = _threads_before.get(pid), threads
    return threads != before or any(state in "RD" for state, _ in threads)


# What `busy` saw when it was last asked for a process.
_threads_before: dict[int, list[tuple[str, str]]] = {}


def _threads(pid: int) -> list[tuple[str, str]]:
    """Of each thread of a process (of the process itself, outside Linux) its state, and for how long it has run."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-o", "stat=,time=", "-p", str(pid)]
        fields = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        return [(fields[0][0].replace("U", "D"), fields[1])] if len(fields) == 2 else []
    found = []
    with suppress(OSError):
        for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
            with suppress(OSError):
                fields = (task / "stat").read_text().rpartition(")")[2].split()
                found.append((fields[0], f"{fields[11]} {fields[12]}"))
    return found


def end(processes: dict[int, str], within: float = 2.0) -> None:
    """Ask each process to end, and after half of `within` seconds make it. A pid that was recycled is left alone."""
    for attempt in (signal.SIGTERM, signal.SIGKILL):
        for pid, started in processes.items():
            if identity(pid) == started:
                _signal(pid, attempt)
        deadline = time.monotonic() + within / 2
        while time.monotonic() < deadline:
            if not any(identity(pid) == started for pid, started in processes.items()):
                return
            time.sleep(_POLL)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _parents() -> dict[int, int]:
    proc = Path("/proc")
    if not (proc / "self/stat").exists():
        listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        return {int(pid): int(parent) for pid, parent in (line.split() for line in listing.splitlines())}
    parents = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended while we looked
    return parents
