"""Requests from rows of the holdout, and wrk as the load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 20.0  # seconds
SCRIPT = Path(__file__).with_name("load.lua")
DIFFERENT = {1: 500, 100: 20, 1000: 4}  # bodies a load takes in turn, by rows in each


@dataclass(frozen=True)
class Load:
    """`rows` in a request, `connections` that send one request after the other."""

    key: str
    rows: int
    connections: int


# The key says what is varied: connections of single rows, or rows of a batch.
LOADS = (
    Load("1", 1, 1),
    Load("16", 1, 16),
    Load("64", 1, 64),
    Load("batch_100", 100, 4),
    Load("batch_1000", 1000, 4),
)


@dataclass(frozen=True)
class LoadResult:
    """What wrk counted. `refused` are answers other than 2xx and 3xx, `broken` connections and time-outs.

    wrk_p99_ms: as wrk prints it, with the requests that it makes up for those that waited (coordinated omission).
    """

    requests: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float
    wrk_p99_ms: float

    @property
    def a_second(self) -> float:
        """Requests answered well, a second."""
        return (self.requests - self.refused) / self.seconds


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        sys.exit("bench-serving: wrk is not installed, or not on PATH (Debian's package wrk: apt-get install wrk)")


def write_bodies(folder: Path, instances: Sequence[Mapping[str, Any]], key: str) -> dict[int, Path]:
    """Rows in a request -> a file with one body a line, {key: [rows]}; every peer gets the same rows."""
    files = {}
    for rows, count in DIFFERENT.items():
        parts = [instances[start * rows : (start + 1) * rows] for start in range(count)]
        files[rows] = folder / f"{key}-{rows}.jsonl"
        if files[rows].exists():
            continue
        files[rows].parent.mkdir(parents=True, exist_ok=True)
        files[rows].write_text("".join(json.dumps({key: part}) + "\n" for part in parts))
    return files


def run(url: str, load: Load, bodies: Path | None, seconds: float) -> LoadResult:
    """One load for `seconds`, or once more for PATIENCE when no answer came; without bodies a plain GET.

    Raises RuntimeError when nothing was answered well.
    """
    measured = _once(url, load, bodies, seconds)
    if not measured.requests:
        measured = _once(url, load, bodies, PATIENCE)
    if measured.requests <= measured.refused:
        raise RuntimeError(f"wrk on {url}, {load.key}: {measured}: no request was answered well")
    return measured


def _once(url: str, load: Load, bodies: Path | None, seconds: float) -> LoadResult:
    command = [
        "wrk",
        "-t1",
        f"-c{load.connections}",
        f"-d{seconds:g}s",
        "--timeout",
        "30s",
        "-s",
        str(SCRIPT),
        url,
        "--",
    ]
    done = subprocess.run(
        [*command, str(bodies) if bodies else "-"],
        env={**os.environ, "CONNECTIONS": str(load.connections)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"wrk on {url}: {done.stderr or done.stdout}")
    return LoadResult(**json.loads(lines[-1]))
