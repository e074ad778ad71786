"""The walk of docs/make-it-yours.md: its command is run on such rows, and its output is what the page shows."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from cli.main import main
from lockgate.configuration.model import read_model
from lockgate.policy.of_model import read_model_policy
from tests.docs.pages import ROOT, pieces
from tests.shapes import made

PAGE = ROOT / "docs" / "make-it-yours.md"


def blocks(language: str) -> list[str]:
    return [content for kind, content, info, _ in pieces(PAGE) if kind == "fence" and info == language]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    made("imbalanced").to_csv(tmp_path / "customers.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_says_what_the_page_shows(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = blocks("sh")[0].strip()
    assert main([*shlex.split(command)[1:], "--yes"]) == 0
    assert capsys.readouterr().out == blocks("text")[0]


def test_what_was_undecided_is_decided_by_options_and_the_policy_is_proposed_anew(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(blocks("sh")[0].strip())[1:]
    assert main([*words, "--yes", "--owner", "team", "--intended-use", "a call", "--protected", "none"]) == 0
    model, policy = read_model(project / "model" / "churn"), (project / "model/churn/policy.toml").read_text()
    assert (model.owner, model.protected) == ("team", ())
    capsys.readouterr()
    assert main(["policy", "plan", "--propose", "--model", "churn"]) == 0
    assert capsys.readouterr().out == policy
    assert read_model_policy(project / "model" / "churn").holdout_rows == 300


def test_the_page_names_every_file_that_is_written(project: Path) -> None:
    assert main([*shlex.split(blocks("sh")[0].strip())[1:], "--yes"]) == 0
    written = [file for part in ("model", "data") for file in sorted((project / part / "churn").rglob("*"))]
    written = [file for file in written if "__pycache__" not in file.parts]
    page = PAGE.read_text()
    assert len(written) == 6
    assert [file.name for file in written if f"{file.name}`" not in page and file.name != ".gitignore"] == []
