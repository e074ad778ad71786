"""Dependencies renew themselves: which versions are written where, and the workflow that proposes them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import renew

ROOT = Path(__file__).parents[2]
JOBS = yaml.safe_load((ROOT / ".github" / "workflows" / "renew.yml").read_text())["jobs"]


def test_each_pin_gets_the_new_version_and_nothing_else_changes() -> None:
    text = 'dependencies = ["boto3==1.43.106", "rich==15.0.0"]\nUV = "uv==0.13.9"\npython >= 3.11 and a == 3\n'
    assert renew.renewed(text, {"boto3": "1.44.0", "uv": "1.0"}) == text.replace("1.43.106", "1.44.0").replace(
        "0.13.9", "1.0"
    )


def test_the_page_of_dependencies_names_the_new_version() -> None:
    page = "| rich 15.0.0 | x |\n| aws-cdk (npm) 2.1148.1; not aws-cdk-lib 2.1148.1 or enrich 15.0.0 |\n"
    said = renew.told(page, {"rich": "15.0.0", "aws-cdk": "2.1148.1"}, {"rich": "15.0.1", "aws-cdk": "2.1149.0"})
    assert said == "| rich 15.0.1 | x |\n| aws-cdk (npm) 2.1149.0; not aws-cdk-lib 2.1148.1 or enrich 15.0.0 |\n"


def test_every_file_that_pins_a_version_is_renewed() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.in", "pyproject.toml", "scripts/*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    pinning = {name for name in listed if renew.pins((ROOT / name).read_text()) and name != "scripts/renew.py"}
    assert pinning == set(renew.PINNED)


def test_a_package_has_one_version_in_all_files() -> None:
    found: dict[str, set[str]] = {}
    for name in renew.PINNED:
        for package, version in renew.pins((ROOT / name).read_text()).items():
            found.setdefault(package, set()).add(version)
    assert {package: versions for package, versions in found.items() if len(versions) > 1} == {}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose origin stands in for GitHub's, with a `gh` that writes down what it is asked."""
    origin, folder, bin_folder = tmp_path / "origin.git", tmp_path / "checkout", tmp_path / "bin"
    for command in (
        ["git", "init", "-q", "--bare", "-b", "main", str(origin)],
        ["git", "clone", "-q", str(origin), str(folder)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    (folder / "requirements.lock").write_text("boto3==1\n")
    bin_folder.mkdir()
    gh = bin_folder / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$2" != create ] || [ ! -e {tmp_path}/exists ]\n')
    gh.chmod(0o755)
    shell(
        folder, "git add . && git -c user.name=a -c user.email=a@b.c commit -q -m first && git push -q origin HEAD:main"
    )
    return folder


def shell(folder: Path, command: str, **variables: str) -> str:
    path = f"{folder.parent / 'bin'}:{os.environ['PATH']}"
    environment = {
        "PATH": path,
        "HOME": str(folder.parent),
        "GITHUB_OUTPUT": str(folder.parent / "output"),
        **variables,
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(job: str) -> list[dict[str, Any]]:
    return [step for step in JOBS[job]["steps"] if "run" in step and not step["run"].startswith("make")]


@pytest.mark.parametrize("again", [False, True])
def test_what_changed_becomes_a_pull_request_that_says_how_the_suite_ended(checkout: Path, again: bool) -> None:
    if again:
        (checkout.parent / "exists").touch()
    (taken,) = commands("renew")
    (checkout / "requirements.lock").write_text("boto3==2\n")
    shell(checkout, taken["run"])
    name, _, change = (checkout.parent / "output").read_text().strip().partition("=")
    assert name == "change"
    shell(checkout, "git checkout -q .")
    for step in commands("propose"):
        shell(checkout, step["run"], CHANGE=change, SUITE="failure", RUN="the run")
    assert shell(checkout, "git fetch -q && git show origin/renew:requirements.lock") == "boto3==2\n"
    *_, asked = (checkout.parent / "asked").read_text().splitlines()
    assert asked.startswith("pr edit renew" if again else "pr create --head renew")
    assert "The suite on these versions: failure (the run)" in asked


def test_where_nothing_is_newer_nothing_is_proposed(checkout: Path) -> None:
    (taken,) = commands("renew")
    shell(checkout, taken["run"])
    assert not (checkout.parent / "output").exists()
    assert JOBS["propose"]["if"] == "needs.renew.outputs.change != ''"


def test_what_may_write_runs_nothing_of_the_new_versions() -> None:
    writing = [name for name, job in JOBS.items() if "write" in job["permissions"].values()]
    assert writing == ["propose"]
    assert not [step for step in JOBS["propose"]["steps"] if "make" in step.get("run", "")]
    order = [step.get("id") or step.get("run") for step in JOBS["renew"]["steps"]]
    assert order[-2:] == ["renewed", "suite"], "the change is taken before the new versions run"
