"""Twenty promotions with faults from fixed seeds, on what the other tests of this folder left. Runs after them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lockgate.config import read_configuration

ROOT = Path(__file__).parents[2]
PROD = read_configuration(ROOT).tools.promotion[-1]
RUNS, SEED = 20, 1


def test_twenty_promotions_under_faults_lose_nothing(demo: Any, tmp_path: Path) -> None:
    """What is promoted are copies of a version that was compared with what prod serves, so that its gate passes."""
    commit = demo.facts("explain", "1")["records"][0]["commit"]
    demo.facts("deliver", commit, "--attempt", "3", cwd=demo.clone)
    followed = demo.lockgate("follow", commit, "--json", cwd=demo.clone)
    assert followed.returncode == 4, followed.stderr
    template = json.loads(followed.stdout)["version"]
    assert demo.lockgate("approve", str(template), "--env", PROD, profile="grace").returncode == 0
    assert demo.lockgate("follow", commit, cwd=demo.clone).returncode == 0
    facts = tmp_path / "faults.json"
    options = {"state": demo.state, "template": template, "runs": RUNS, "seed": SEED, "json": facts}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = demo.run(sys.executable, "-m", "bench.faults", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(facts.read_text())["runs"]
    assert len(runs) == RUNS
    assert sum(len(run["injected"]) for run in runs) >= RUNS
    assert {run["outcome"] for run in runs} <= {"released", "failed", "stuck"}
