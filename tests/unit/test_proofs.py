"""Proofs that `make test` does not take have run on a commit of late, and passed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripts import proofs

ENDED = datetime(2026, 11, 29, tzinfo=UTC)
PASSED = proofs.Result("a command", "", "c" * 40, ENDED.isoformat(), 60, passed=True)


def test_each_proof_has_passed_of_late() -> None:
    due = proofs.due(proofs.read(), proofs.committed())
    assert due == [], "run `make test-long` and commit tests/long.json"


def git(folder: Path, *arguments: str, **environment: str) -> None:
    words = ("git", "-C", str(folder), "-c", "user.name=ada", "-c", "user.email=ada@example.com", *arguments)
    subprocess.run(words, env={**os.environ, **environment}, check=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose newest commit is of ENDED."""
    made = tmp_path / "checkout"
    git(tmp_path, "init", "-q", str(made))
    for moment in (ENDED - timedelta(days=1), ENDED):
        git(made, "commit", "-q", "--allow-empty", "-m", "x", GIT_COMMITTER_DATE=moment.isoformat())
    return made


def test_a_proofs_age_ends_at_the_commit_whatever_day_it_is(checkout: Path) -> None:
    assert proofs.committed(checkout) == ENDED


def test_a_shallow_clone_knows_its_commits_moment(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{checkout}", str(tmp_path / "shallow"))
    assert proofs.committed(tmp_path / "shallow") == ENDED


def test_a_checkout_of_which_git_says_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere")
    with pytest.raises(subprocess.CalledProcessError):
        proofs.committed(tmp_path)


def test_an_archive_asks_that_each_proof_passed_and_not_when(tmp_path: Path) -> None:
    assert proofs.committed(tmp_path) is None
    assert proofs.due(dict.fromkeys(proofs.PROOFS, PASSED), None) == []
    assert len(proofs.due({}, None)) == len(proofs.PROOFS)
    assert len(proofs.due(dict.fromkeys(proofs.PROOFS, replace(PASSED, passed=False)), None)) == len(proofs.PROOFS)


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
