"""What keeps the house in order that no linter checks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lockgate.configuration.project import read_tools

ROOT = Path(__file__).parents[2]
OURS = ("app.py", "stacks", "constructs", "lockgate", "lambdas", "runtime", "model")
# Words by which code could tell the embedded AWS from AWS.
TELLS = re.compile(
    r"ministack|localhost|127\.0\.0\.1|endpoint_url|AWS_ENDPOINT|LOCKGATE_LOCAL|\bemulat|\bembedded\b", re.I
)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_nothing_but_the_embedded_aws_and_the_command_line_knows_where_it_runs() -> None:
    allowed = {("lockgate/aws/github_identity.py", "127.0.0.1")}  # a token endpoint on loopback may be plain HTTP
    found = {
        (str(file.relative_to(ROOT)), tell)
        for file in tracked(*OURS)
        if file.suffix == ".py"
        for tell in TELLS.findall(file.read_text())
    }
    assert found - allowed == set()


def test_only_the_frame_of_the_command_line_touches_the_embedded_aws() -> None:
    users = {file.name for file in tracked("cli") if re.search(r"^from local|^import local", file.read_text(), re.M)}
    assert users == {"context.py", "up.py", "down.py"}


def test_source_roots_and_tests_have_no_init_file() -> None:
    roots = [ROOT / "constructs", ROOT / "model", ROOT / "tests", *(ROOT / "tests").iterdir()]
    assert [root for root in roots if (root / "__init__.py").exists()] == []


def test_what_pyproject_pins_is_in_the_lock_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {*project["dependencies"], *(pin for group in project["optional-dependencies"].values() for pin in group)}
    locked = set((ROOT / "requirements.lock").read_text().splitlines())
    assert pinned - locked == set(), "run `make lock`"


def test_set_up_without_git_is_one_clear_line() -> None:
    command = [sys.executable, "-I", str(ROOT / "scripts" / "setup.py")]
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "set-up: git is not installed, or not on PATH\n")


def test_lock_files_carry_no_download_addresses() -> None:
    for file in tracked("*.lock", "package-lock.json"):
        assert not re.search(r"https?://|file://", file.read_text()), file


@pytest.mark.parametrize("file", tracked(".github/workflows/*.yml"), ids=lambda file: file.name)
def test_workflow_actions_are_pinned_to_a_commit_and_no_keys_are_stored(file: Path) -> None:
    text = file.read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)
    assert "secrets." not in text
    assert "pull_request_target" not in text


def test_the_delivery_workflow_runs_on_the_branch_that_the_delivery_role_trusts() -> None:
    branch = read_tools(ROOT / "environments" / "tools.toml").github.branch
    assert f"branches: [{branch}]" in (ROOT / ".github" / "workflows" / "deliver.yml").read_text()
