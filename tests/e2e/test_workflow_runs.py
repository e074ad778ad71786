"""Every workflow's own commands, in their order, with the identity of a run, against the embedded AWS.

What stands in for the rest is listed: checkout is this checkout, and `gh` is a script that keeps what it is told.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.config import read_configuration

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
SOURCE = read_configuration(ROOT).tools.github
USES = {"actions/checkout": "this checkout"}
COMMANDS = {"make setup": "this checkout is set up", "make test": "this is a part of it"}
METACHARACTERS = (
    'Fix "quotes"; touch pwned $(touch pwned) `touch pwned` && touch pwned | cat > pwned \'\n\n${{ github.token }}'
)

Run = Callable[..., tuple[int, str, dict[str, str]]]


@pytest.fixture(scope="module")
def demo(fresh_demo: Any) -> Any:
    return fresh_demo


@pytest.fixture
def run(demo: Any, tmp_path: Path) -> Run:
    """Run a job's steps as the runner does: bash -e; after a failed step only those that always run.

    Gives the exit code, what the job's page shows, and the job's outputs.
    """

    def run(
        workflow: str, job: str, *, cwd: Path = ROOT, outputs: dict[str, str] | None = None, **variables: str
    ) -> tuple[int, str, dict[str, str]]:
        described = yaml.safe_load((WORKFLOWS / workflow).read_text())["jobs"][job]
        sha = subprocess.run(["git", "rev-parse", "HEAD"], cwd=cwd, capture_output=True, text=True, check=True).stdout
        identity = demo.session.github(
            owner=SOURCE.owner,
            owner_id=int(SOURCE.owner_id),
            repository=SOURCE.repository,
            repository_id=int(SOURCE.repository_id),
            ref=f"refs/heads/{SOURCE.branch}",
            sha=sha.strip(),
            actor="ada",
            actor_id=3003,
            environment=described.get("environment", ""),
        )
        if "id-token" not in described["permissions"]:
            identity = {name: value for name, value in identity.items() if not name.startswith("ACTIONS_ID_TOKEN")}
        summary, output = tmp_path / "summary.md", tmp_path / "output"
        for file in (summary, output):
            file.unlink(missing_ok=True)
            file.touch()
        path = os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"]))
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "MAKE", "CDK_", "GITHUB_"))}
        environment = {**inherited, **demo.session.cdk_environment(), **identity, **variables, "PATH": path}
        environment |= {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)}
        del environment["AWS_PROFILE"]
        failed = 0
        for step in described["steps"]:
            if "uses" in step:
                assert step["uses"].partition("@")[0] in USES
                continue
            if step["run"] in COMMANDS or (failed and step.get("if") != "always()"):
                continue
            command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
            done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
            failed = failed or done.returncode
            if done.returncode:
                sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
        return failed, summary.read_text(), _outputs(output.read_text())

    return run


def _outputs(text: str) -> dict[str, str]:
    """name<<END ... END, as GitHub reads the file of a step's outputs."""
    found = re.findall(r"^(\w+)<<(\S+)\n(.*?)\n\2$", text, re.MULTILINE | re.DOTALL)
    return {name: value for name, _, value in found}


def test_a_push_delivers_the_commit_whatever_its_message_says(demo: Any, run: Run) -> None:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    command = ("git", *identity, "commit", "--quiet", "--allow-empty", "--message", METACHARACTERS)
    assert demo.run(*command, cwd=demo.clone).returncode == 0
    (demo.clone / ".venv").symlink_to(ROOT / ".venv")
    try:
        code, _, _ = run("deliver.yml", "deliver", cwd=demo.clone)
    finally:
        (demo.clone / ".venv").unlink()
    assert code == 0
    assert not list(demo.clone.rglob("pwned")) + list(ROOT.glob("pwned"))
    commit = demo.run("git", "rev-parse", "HEAD", cwd=demo.clone).stdout.strip()
    followed = demo.lockgate("follow", commit, "--timeout", "600", cwd=demo.clone)
    assert followed.returncode in (0, 3, 4), followed.stderr


def test_a_push_deploys_the_stacks_of_dev_at_once(run: Run) -> None:
    code, summary, _ = run("infrastructure.yml", "dev")
    assert (code, summary.splitlines()[0]) == (0, "## Stacks of dev: live")


def test_stacks_of_staging_wait_for_another_person_and_then_are_deployed(demo: Any, run: Run) -> None:
    code, summary, _ = run("infrastructure.yml", "staging")
    assert (code, summary.splitlines()[0]) == (4, "## Stacks of staging: waiting")
    approve = re.search(r"lockgate (approve [0-9a-f]{64} --env staging) --reason", summary)
    assert approve
    words = (*approve[1].split(), "--reason", "read the review")
    refused = demo.lockgate(*words)
    assert refused.returncode == 1, "ada made the change, and is no approver"
    assert demo.lockgate(*words, profile="grace").returncode == 0
    code, summary, _ = run("infrastructure.yml", "staging")
    assert (code, summary.splitlines()[0]) == (0, "## Stacks of staging: live")


def test_a_run_of_one_environment_cannot_deploy_another(demo: Any, run: Run, tmp_path: Path) -> None:
    """The identity of dev's job, with the command of prod's."""
    described = yaml.safe_load((WORKFLOWS / "infrastructure.yml").read_text())
    identity = demo.session.github(
        owner=SOURCE.owner,
        owner_id=int(SOURCE.owner_id),
        repository=SOURCE.repository,
        repository_id=int(SOURCE.repository_id),
        ref=f"refs/heads/{SOURCE.branch}",
        sha="0" * 40,
        actor="ada",
        actor_id=3003,
        environment="dev",
    )
    (command,) = [s["run"] for s in described["jobs"]["prod"]["steps"] if "lockgate" in s.get("run", "")]
    environment = {**os.environ, **demo.session.cdk_environment(), **identity}
    del environment["AWS_PROFILE"]
    done = subprocess.run(command.split(), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in done.stderr, done.stderr


def test_a_push_is_compared_with_what_is_deployed_by_a_role_that_only_reads(run: Run) -> None:
    code, summary, _ = run("infrastructure.yml", "review")
    assert code == 0
    assert summary.startswith("## Infrastructure review: ")


def test_a_pull_request_has_its_review_as_summary_and_as_comment(run: Run, tmp_path: Path) -> None:
    code, summary, outputs = run("pull-request.yml", "review", BASE="HEAD")
    assert code in (0, 2), "2: make's word for a review with risks"
    assert summary.startswith("## Infrastructure review: ")
    (tmp_path / "bin").mkdir()
    told = tmp_path / "gh"
    (tmp_path / "bin" / "gh").write_text(f'#!/bin/sh\n{{ echo "$@"; cat; }} > {told}\n')
    (tmp_path / "bin" / "gh").chmod(0o700)
    code, _, _ = run("pull-request.yml", "comment", NUMBER="7", REVIEW=outputs["markdown"])
    arguments, _, body = told.read_text().partition("\n")
    assert (code, arguments) == (0, "pr comment 7 --edit-last --create-if-none --body-file -")
    assert body.strip() == summary.strip()


def test_a_pull_request_from_a_fork_ends_with_its_summary_and_asks_nothing_of_aws_or_github(run: Run) -> None:
    """A fork's run has no identity, may write nothing, and skips the comment."""
    jobs = yaml.safe_load((WORKFLOWS / "pull-request.yml").read_text())["jobs"]
    assert not [name for name, job in jobs.items() if "id-token" in job["permissions"]]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in jobs["comment"]["if"]
    writing = [name for name, job in jobs.items() if "write" in job["permissions"].values()]
    assert writing == ["comment"]
    hostile = {"GITHUB_HEAD_REF": "$(touch pwned)", "GITHUB_ACTOR": "`touch pwned`", "BASE": "HEAD"}
    code, summary, _ = run("pull-request.yml", "review", GH_TOKEN="", **hostile)
    assert code in (0, 2)
    assert summary.startswith("## Infrastructure review: ")
    assert not list(ROOT.glob("pwned"))


def test_every_command_of_every_workflow_was_run_here_or_has_a_stand_in() -> None:
    run_here = {
        "deliver.yml": {"deliver"},
        "infrastructure.yml": {"dev", "staging", "review"},
        "pull-request.yml": {"review", "comment"},
    }
    for file in WORKFLOWS.glob("*.yml"):
        jobs = yaml.safe_load(file.read_text())["jobs"]
        seen = {
            re.sub(r" (dev|staging)$", " ENV", s["run"])
            for n in run_here[file.name]
            for s in jobs[n]["steps"]
            if "run" in s
        }
        every = {
            re.sub(r" (tools|anchor|dev|staging|prod)$", " ENV", s["run"])
            for job in jobs.values()
            for s in job["steps"]
            if "run" in s
        }
        assert every - seen - COMMANDS.keys() == set(), file.name
