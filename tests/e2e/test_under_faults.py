"""Twenty promotions with faults from fixed seeds, with FAULTS=1; `make faults` makes 200."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.faults.shorter import with_short_canaries
from lockgate.config import read_configuration

ROOT = Path(__file__).parents[2]
PROD = read_configuration(ROOT).tools.promotion[-1]
RUNS, SEED = 20, 1
pytestmark = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="takes minutes: FAULTS=1, or make faults")
SECONDS = 3600  # no more than a bound: a run ends with its version, however busy the machine is


@pytest.fixture(scope="module")
def template(demo: Any) -> int:
    """A version that was compared with what prod serves, so that its copies pass their gates."""
    first = demo.facts("explain", "1")["records"][0]
    commit = first["commit"]
    demo.facts("deliver", commit, "--snapshot", first["snapshot"], "--attempt", "3", cwd=demo.clone)
    followed = demo.lockgate("follow", commit, "--json", cwd=demo.clone)
    assert followed.returncode == 4, followed.stderr
    version = int(json.loads(followed.stdout)["version"])
    assert demo.lockgate("approve", str(version), "--env", PROD, profile="grace").returncode == 0
    assert demo.lockgate("follow", commit, cwd=demo.clone).returncode == 0
    return version


@pytest.fixture(scope="module")
def short_canaries(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a run waits for is not what it shows."""
    project = with_short_canaries(ROOT, tmp_path_factory.mktemp("short") / "project")
    for environment in ("staging", PROD):
        done = demo.run(
            *("cdk", "deploy", f"{environment}/*", "--require-approval", "never", "--no-notices"),
            cwd=project,
            profile=environment,
        )
        assert done.returncode == 0, done.stderr


def test_twenty_promotions_under_faults_lose_nothing(
    demo: Any, template: int, short_canaries: None, tmp_path: Path
) -> None:
    file = tmp_path / "faults.json"
    options = {"state": demo.state, "template": template, "runs": RUNS, "seed": SEED, "json": file}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "bench.faults", *words],
        cwd=ROOT,
        env=demo.environment("ada"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout
    facts = json.loads(file.read_text())
    assert len(facts["runs"]) == RUNS
    assert not any(facts["breaches"].values())
    assert {run["outcome"] for run in facts["runs"]} <= {"released", "failed", "stuck"}
    assert sum(len(run["injected"]) for run in facts["runs"]) >= RUNS, done.stdout
