"""Twenty promotions with faults from fixed seeds, beside the other tests of this folder; `make faults` makes 200."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Sample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults find processes in /proc")
SECONDS = 3600  # no more than a bound: a run ends with its version, however busy the machine is


def test_twenty_promotions_under_faults_lose_nothing(sample_of_faults: Sample) -> None:
    code = sample_of_faults.process.wait(SECONDS)
    said = sample_of_faults.log.read_text()
    assert code == 0, said
    facts = json.loads(sample_of_faults.facts.read_text())
    assert len(facts["runs"]) == sample_of_faults.runs
    assert not any(facts["breaches"].values())
    assert {run["outcome"] for run in facts["runs"]} <= {"released", "failed", "stuck"}
    assert sum(len(run["injected"]) for run in facts["runs"]) >= sample_of_faults.runs, said
