"""Every workflow's own commands, in their order, with the identity of a run, against the embedded AWS.

What stands in for the rest is listed: checkout is this checkout, and `gh` is a script that keeps what it is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from local.github import push_to
from lockgate import names
from lockgate.configuration.project import read_configuration

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
CONFIGURATION = read_configuration(ROOT)
SOURCE = CONFIGURATION.tools.github
USES = {"actions/checkout": "this checkout"}
COMMANDS = {
    "make setup EXTRAS=cdk": "this checkout is set up",
    "make setup EXTRAS=": "this checkout is set up",
    "make setup EXTRAS=model": "this checkout is set up",
    "make test": "this is a part of it",
}
METACHARACTERS = (
    'Fix "quotes"; touch pwned $(touch pwned) `touch pwned` && touch pwned | cat > pwned \'\n\n${{ github.token }}'
)

Run = Callable[..., tuple[int, str, dict[str, str]]]


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
        identity = demo.session.github(push_to(SOURCE, sha.strip(), described.get("environment", "")))
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
        environment["CDK_VALIDATION"] = "false"  # tests/synth/test_posture.py asks cdk-nag
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


@pytest.fixture
def deliver(demo: Any, run: Run) -> Iterator[Callable[..., tuple[int, str]]]:
    """Commit in the scratch clone and run the delivery job there: its exit code, and the commit, which is undone."""
    before = demo.run("git", "rev-parse", "HEAD", cwd=demo.clone).stdout.strip()
    (demo.clone / ".venv").symlink_to(ROOT / ".venv")

    def deliver(message: str, *, dockerfile: str = "", first: Callable[[str], None] | None = None) -> tuple[int, str]:
        file = demo.clone / "model" / "Dockerfile"
        file.write_text(file.read_text() + dockerfile)
        identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
        command = ("git", *identity, "commit", "--quiet", "--all", "--allow-empty", "--message", message)
        assert demo.run(*command, cwd=demo.clone).returncode == 0
        commit = demo.run("git", "rev-parse", "HEAD", cwd=demo.clone).stdout.strip()
        if first:
            first(commit)
        return run("deliver.yml", "deliver", cwd=demo.clone)[0], commit

    yield deliver
    (demo.clone / ".venv").unlink()
    demo.run("git", "reset", "--quiet", "--hard", before, cwd=demo.clone)


@pytest.fixture
def ecr(demo: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The registry, as the tools account's administrator sees it."""
    for name, value in demo.session.environment("tools").items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    return boto3.Session(region_name=CONFIGURATION.tools.region).client("ecr")


def tags(ecr: Any) -> dict[str, str]:
    """Digest under each tag."""
    found = ecr.describe_images(repositoryName=names.MODELS_REPOSITORY)["imageDetails"]
    return {tag: image["imageDigest"] for image in found for tag in image.get("imageTags", [])}


def standing(demo: Any, ecr: Any) -> tuple[Any, ...]:
    """Of images, all that a delivery could change."""
    status = demo.facts("status")
    return status["builds"], status["images"], tags(ecr)


def test_a_push_delivers_the_commit_whatever_its_message_says_and_the_next_trains_nothing_that_it_leaves_alone(
    demo: Any, deliver: Callable[..., tuple[int, str]], ecr: Any
) -> None:
    code, commit = deliver(METACHARACTERS, dockerfile="# changed\n")
    assert code == 0
    assert not list(demo.clone.rglob("pwned")) + list(ROOT.glob("pwned"))
    followed = demo.lockgate("follow", commit, "--timeout", "600", "--json", cwd=demo.clone)
    assert followed.returncode == 3, "the demo's second commit made the model worse" + followed.stderr
    version = json.loads(followed.stdout)["version"]
    assert version in [entry["version"] for entry in demo.facts("status")["refused"]]
    code, after = deliver("Nothing that a model is made of")
    assert (code, after in tags(ecr)) == (0, True), "it has its image"
    followed = demo.lockgate("follow", after, "--json", cwd=demo.clone)
    said = json.loads(followed.stdout)
    assert (followed.returncode, said["ending"], said["same_as"], said["version"]) == (3, "refused", commit, version)


def test_a_dockerfile_that_no_longer_builds_is_a_failed_image_in_the_status_and_nothing_in_the_registry(
    demo: Any, deliver: Callable[..., tuple[int, str]], ecr: Any
) -> None:
    before = tags(ecr)
    code, commit = deliver("Break the image", dockerfile="COPY gone /app/gone\n")
    assert code == 1
    assert tags(ecr) == before
    (entry,) = [entry for entry in demo.facts("status")["builds"] if entry["of"] == commit]
    assert (entry["status"], entry["reason"].partition(":")[0]) == ("FAILED", "BUILD")
    assert f"failed: image of {commit[:12]}: build {entry['build']} FAILED" in demo.lockgate("status").stdout


def test_a_registry_that_refuses_a_push_is_a_failed_image_in_the_status_until_it_is_delivered_again(
    demo: Any, deliver: Callable[..., tuple[int, str]], ecr: Any
) -> None:
    repository = {"repositoryName": names.MODELS_REPOSITORY}
    own = ecr.get_repository_policy(**repository)["policyText"]
    denied = {"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"}
    before = tags(ecr)
    ecr.set_repository_policy(
        **repository, policyText=json.dumps({"Version": "2012-10-17", "Statement": [denied]}), force=True
    )
    try:
        code, commit = deliver("While the registry refuses")
        assert (code, tags(ecr)) == (1, before)
        (entry,) = [entry for entry in demo.facts("status")["builds"] if entry["of"] == commit]
        assert (entry["status"], entry["reason"].partition(":")[0]) == ("FAILED", "POST_BUILD")
    finally:
        ecr.set_repository_policy(**repository, policyText=own, force=True)
    assert demo.lockgate("deliver", commit, cwd=demo.clone).returncode == 0
    assert set(tags(ecr)) - set(before) == {commit}
    assert commit not in [entry["of"] for entry in demo.facts("status")["builds"]]


def test_a_tag_that_exists_with_another_digest_is_refused_and_shown_as_nobodys(
    demo: Any, deliver: Callable[..., tuple[int, str]], ecr: Any
) -> None:
    repository = {"repositoryName": names.MODELS_REPOSITORY}
    (image,) = ecr.batch_get_image(**repository, imageIds=[{"imageDigest": next(iter(tags(ecr).values()))}])["images"]
    other = json.dumps({**json.loads(image["imageManifest"]), "annotations": {"from": "elsewhere"}})

    def first(commit: str) -> None:
        ecr.put_image(**repository, imageManifest=other, imageTag=commit)

    code, commit = deliver("After somebody took its tag", first=first)
    digest = f"sha256:{hashlib.sha256(other.encode()).hexdigest()}"
    assert (code, tags(ecr)[commit]) == (1, digest)
    assert [entry for entry in demo.facts("status")["images"] if entry["tag"] == commit and entry["digest"] == digest]
    followed = demo.lockgate("follow", commit, cwd=demo.clone)
    assert (followed.returncode, "no training" in followed.stderr) == (1, True)


def test_a_run_of_a_fork_cannot_deliver_and_changes_nothing(demo: Any, ecr: Any) -> None:
    """A pull request's run gets no identity; here it has one all the same, as its own repository would give it."""
    before = standing(demo, ecr)
    fork = {"owner": "stranger", "owner_id": 9, "repository_id": 78, "actor": "stranger", "actor_id": 9009}
    identity = demo.session.github(replace(push_to(SOURCE, "0" * 40), **fork))
    environment = {**demo.environment("ada"), **identity}
    del environment["AWS_PROFILE"]
    done = subprocess.run(
        ["lockgate", "deliver"], cwd=demo.clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "(AccessDenied): found a token with sub" in done.stderr, done.stderr
    assert standing(demo, ecr) == before


def test_a_push_deploys_the_stacks_of_dev_at_once(run: Run) -> None:
    code, summary, _ = run("infrastructure.yml", "dev")
    assert (code, summary.splitlines()[0]) == (0, "## Stacks of dev: live")


def test_stacks_of_staging_wait_for_another_person_and_then_are_deployed(demo: Any, run: Run) -> None:
    code, summary, _ = run("infrastructure.yml", "staging")
    assert (code, summary.splitlines()[0]) == (4, "## Stacks of staging: waiting")
    (waits,) = demo.facts("status")["infrastructure"]
    assert (waits["environment"], waits["state"], waits["author"]) == ("staging", "waiting", "ada")
    assert f'lockgate approve {waits["assembly"]} --env staging --reason "..."' in demo.lockgate("status").stdout
    approve = re.search(r"lockgate (approve [0-9a-f]{64} --env staging) --reason", summary)
    assert approve
    words = (*approve[1].split(), "--reason", "read the review")
    refused = demo.lockgate(*words)
    assert refused.returncode == 1, "ada made the change, and is no approver"
    assert demo.lockgate(*words, profile="grace").returncode == 0
    assert [entry["state"] for entry in demo.facts("status")["infrastructure"]] == ["approved"]
    code, summary, _ = run("infrastructure.yml", "staging")
    assert (code, summary.splitlines()[0]) == (0, "## Stacks of staging: live")
    assert demo.facts("status")["infrastructure"] == []


def test_a_run_of_one_environment_cannot_deploy_another(demo: Any, run: Run, tmp_path: Path) -> None:
    """The identity of dev's job, with the command of prod's."""
    described = yaml.safe_load((WORKFLOWS / "infrastructure.yml").read_text())
    identity = demo.session.github(push_to(SOURCE, "0" * 40, "dev"))
    (command,) = [s["run"] for s in described["jobs"]["prod"]["steps"] if "lockgate" in s.get("run", "")]
    environment = {**os.environ, **demo.session.cdk_environment(), **identity}
    del environment["AWS_PROFILE"]
    done = subprocess.run(command.split(), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "(AccessDenied): found a token with sub" in done.stderr, done.stderr


def test_a_push_is_compared_with_what_is_deployed_by_a_role_that_only_reads(run: Run) -> None:
    code, summary, _ = run("infrastructure.yml", "review")
    assert code == 0
    assert summary.startswith("## Infrastructure review: ")


def test_a_pull_request_has_its_review_as_summary_and_as_comment(run: Run, tmp_path: Path) -> None:
    """The job is a fork's as well, which has no token, and whose names are anybody's."""
    hostile = {"GITHUB_HEAD_REF": "$(touch pwned)", "GITHUB_ACTOR": "`touch pwned`", "BASE": "HEAD"}
    code, summary, outputs = run("pull-request.yml", "review", GH_TOKEN="", **hostile)
    assert code in (0, 2), "2: make's word for a review with risks"
    assert summary.startswith("## Infrastructure review: ")
    assert not list(ROOT.glob("pwned"))
    (tmp_path / "bin").mkdir()
    told = tmp_path / "gh"
    (tmp_path / "bin" / "gh").write_text(f'#!/bin/sh\n{{ echo "$@"; cat; }} > {told}\n')
    (tmp_path / "bin" / "gh").chmod(0o700)
    code, _, _ = run("pull-request.yml", "comment", NUMBER="7", REVIEW=outputs["markdown"], CARD="")
    arguments, _, body = told.read_text().partition("\n")
    assert (code, arguments) == (0, "pr comment 7 --edit-last --create-if-none --body-file -")
    assert body.strip() == summary.strip()


def test_a_pull_request_from_a_fork_has_no_identity_may_write_nothing_and_skips_the_comment() -> None:
    jobs = yaml.safe_load((WORKFLOWS / "pull-request.yml").read_text())["jobs"]
    assert not [name for name, job in jobs.items() if "id-token" in job["permissions"]]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in jobs["comment"]["if"]
    writing = [name for name, job in jobs.items() if "write" in job["permissions"].values()]
    assert writing == ["comment"]


def test_every_command_of_every_workflow_was_run_here_or_has_a_stand_in() -> None:
    run_here = {
        "deliver.yml": {"deliver"},
        "infrastructure.yml": {"dev", "staging", "review"},
        "pull-request.yml": {"review", "comment", "card"},  # tests/integration/model/test_try.py runs the card
        "renew.yml": {"renew", "propose"},  # tests/unit/test_renew.py runs them
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
