"""Ten promotions with faults from fixed seeds, on an embedded AWS of their own; `make faults` makes 200.

These seeds plan every kind of fault, at each function and environment.

Several tests look at them: a process of the suite that has one test left takes another file, which would wait for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from bench.faults import plan
from local import embedded
from tests.e2e.demos import ROOT, paths
from tests.ports import free_ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults find processes in /proc")
FIRST, RUNS = 2441, 10
SECONDS = 3600  # no more than a bound: a run ends with its version, however busy the machine is


@dataclass(frozen=True)
class FaultyPromotions:
    """What `python -m bench.faults` found, how it ended, and what it printed."""

    facts: dict[str, Any]
    code: int
    said: str


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> FaultyPromotions:
    folder = tmp_path_factory.mktemp("faults")
    build, facts = folder / "build", folder / "faults.json"
    options = {"runs": RUNS, "seed": FIRST, "workers": 1, "port": free_ports(3), "build": build, "json": facts}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.faults", *words],
            cwd=ROOT,
            env={**os.environ, "PATH": paths(folder)["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    finally:
        embedded.stop(build / "state")
    assert facts.exists(), done.stdout
    return FaultyPromotions(json.loads(facts.read_text()), done.returncode, done.stdout)


def test_promotions_under_faults_lose_nothing(sample: FaultyPromotions) -> None:
    assert sample.code == 0, sample.said
    assert not any(sample.facts["breaches"].values()), sample.said


def test_every_promotion_under_faults_ends(sample: FaultyPromotions) -> None:
    assert len(sample.facts["runs"]) == RUNS
    assert {run["outcome"] for run in sample.facts["runs"]} <= {"released", "failed", "stuck"}


def test_their_seeds_plan_every_kind_of_fault_at_every_place() -> None:
    planned = [fault for seed in range(FIRST, FIRST + RUNS) for fault in plan.faults(seed)]
    assert {fault["kind"] for fault in planned} == set(plan.KINDS)
    assert {plan.place_of(fault) for fault in planned} >= set(plan.FUNCTIONS)
    assert {fault["environment"] for fault in planned if fault["kind"] == plan.TASK_KILLED}


def test_promotions_meet_faults(sample: FaultyPromotions) -> None:
    assert sum(len(run["injected"]) for run in sample.facts["runs"]) >= RUNS, sample.said
