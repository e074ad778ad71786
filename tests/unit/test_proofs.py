"""Proofs that `make test` does not take have run on a commit of late, and passed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
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


@pytest.mark.parametrize("killed", [False, True])
def test_busy_loops_beside_the_suite_end_with_it_even_where_their_shell_is_killed(tmp_path: Path, killed: bool) -> None:
    begun, go, pytest_of_its_own = tmp_path / "begun", tmp_path / "go", tmp_path / "pytest"
    pytest_of_its_own.write_text(f"#!/bin/sh\ntouch {begun}; while [ ! -e {go} ]; do sleep 0.05; done\n")
    pytest_of_its_own.chmod(0o700)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOOPS": "2", "TESTS": ""}
    shell = subprocess.Popen(["bash", "-c", proofs.PROOFS["load"]], env=environment, start_new_session=True)
    wait_for(begun.exists)
    assert len(members(shell.pid)) > 2, "the loops run"
    if killed:
        shell.kill()
    go.touch()
    shell.wait()
    wait_for(lambda: members(shell.pid) == [])


def members(group: int) -> list[str]:
    """Processes of a group."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid="], capture_output=True, text=True, check=True).stdout
    return [each for each in listed.split() if int(each) == group]


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
