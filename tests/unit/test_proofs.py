"""Proofs that `make test` does not take have run on a commit of late, and passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scripts import proofs

ENDED = datetime(2026, 11, 29, tzinfo=UTC)
PASSED = proofs.Result("a command", "", "c" * 40, ENDED.isoformat(), 60, passed=True)


def test_each_proof_has_passed_of_late() -> None:
    assert proofs.due(proofs.read(), datetime.now(UTC)) == [], "run `make test-long` and commit tests/long.json"


def test_a_proof_is_good_for_sixty_days() -> None:
    results = dict.fromkeys(proofs.PROOFS, PASSED)
    assert proofs.due(results, ENDED + timedelta(days=60)) == []
    assert len(proofs.due(results, ENDED + timedelta(days=60, seconds=1))) == len(proofs.PROOFS)


def test_a_shortened_run_is_good_for_two_weeks_only() -> None:
    results = dict.fromkeys(proofs.PROOFS, replace(PASSED, given="RUNS=2"))
    assert proofs.due(results, ENDED + timedelta(days=14)) == []
    said = proofs.due(results, ENDED + timedelta(days=15))
    assert ["that RUNS=2 shortened" in each for each in said] == [True] * len(proofs.PROOFS)


@pytest.mark.parametrize(("result", "why"), [(None, "no run"), (replace(PASSED, passed=False), "a run that failed")])
def test_a_proof_that_did_not_run_or_failed_has_to_run(result: proofs.Result | None, why: str) -> None:
    last = list(proofs.PROOFS)[-1]
    results = {**dict.fromkeys(proofs.PROOFS, PASSED), last: result}
    (said,) = proofs.due({name: each for name, each in results.items() if each}, ENDED)
    assert said.startswith(f"{last}: found {why}")
