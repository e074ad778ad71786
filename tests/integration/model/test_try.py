"""`lockgate try` on a project of its own, whose holdout nobody can read: the real recipe, folds, steps and card."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from cli import main
from examples.rows import made
from lockgate.configuration.model import read_model

ROOT = Path(__file__).parents[3]
Try = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prices and refunds, committed; where their holdouts should be there are folders."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "environments", root / "environments")
    for name in ("prices", "refunds"):
        shutil.copytree(ROOT / "examples" / name, root / "model" / name)
        train, _ = made(name)
        (root / "data" / name / "holdout.parquet").mkdir(parents=True)
        without = train.select([*read_model(root / "model" / name).training_columns])  # and without attributes
        pq.write_table(without, root / "data" / name / "train.parquet")
    lock = (ROOT / "model" / "requirements.lock").read_text()
    (root / "model" / "requirements.lock").write_text(f"{lock}lightgbm=={version('lightgbm')}\n")
    (root / ".gitignore").write_text("data/\n__pycache__/\n")
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=ana", "-c", "user.email=ana@example.com", *words], cwd=root, check=True)
    return root


@pytest.fixture
def project(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(committed, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def tried(project: Path, capsys: pytest.CaptureFixture[str]) -> Try:
    def run(*words: str) -> tuple[int, Any]:
        code = main.main(["try", "--json", "--rows", "1500", *words])
        return code, json.loads(capsys.readouterr().out)["cards"]

    return run


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def checks(card: Any) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in card["checks"]}


def test_a_worse_recipe_is_shown_beside_the_one_of_the_branch_without_any_holdout(tried: Try, project: Path) -> None:
    edit(project / "model" / "refunds" / "model.toml", "young = 200\nlarge = 150", "young = 0\nlarge = 5000")
    code, cards = tried("--markdown", "card.md")
    assert (code, [card["model"] for card in cards]) == (0, ["refunds"]), "only what the branch changes is tried"
    (card,) = cards
    metrics = {each["metric"]: each for each in card["metrics"]}
    assert set(metrics) >= {"cost", "roc_auc", "accuracy"}
    gain, low, high = metrics["roc_auc"]["gain"]
    assert low < gain < high < 0, "it tells no refund from another any more"
    assert metrics["cost"]["gain"][0] < 0
    assert metrics["roc_auc"]["low"] < metrics["roc_auc"]["value"] < metrics["roc_auc"]["high"]
    assert set(checks(card).values()) == {"passed"}
    assert card["facts"]["engine"].startswith("estimator"), "a class of the team's own"
    assert 0 < float(card["facts"]["threshold"]) < 1
    assert [each["verdict"] for each in card["would"]] == [False] * len(card["would"])
    rules = {rule["rule"]: rule for each in card["would"] for rule in each["rules"]}
    assert rules["worth its looks"]["message"].startswith("cost ")
    assert [rule["outcome"] for rule in rules.values() if "customer_age" in rule["message"]] == ["not tried"]
    assert "better than the champion's by -" in rules["not dearer than what is served"]["message"]
    assert "no verdict" in (project / "card.md").read_text()


def test_a_regression_of_an_unchanged_recipe_is_tried_when_it_is_named(tried: Try) -> None:
    code, (card,) = tried("prices")
    assert set(checks(card).values()) == {"passed"}, card["checks"]
    assert code == 0
    assert card["rows"] == 1500 and card["of_rows"] == 4000
    assert {"mae", "rmse", "r2"} <= {each["metric"] for each in card["metrics"]}
    assert "its recipe is the one of commit" in card["beside"]
    said = [rule["outcome"] for each in card["would"] for rule in each["rules"] if "champion" in rule["message"]]
    assert "passed" not in said, "what was not compared passes nothing"


def test_an_error_of_the_teams_code_is_shown_by_its_own_lines_and_what_to_do(tried: Try, project: Path) -> None:
    file = project / "model" / "prices" / "train.py"
    file.write_text(file.read_text() + "\n\ndef train(rows, target, model):\n    return rows['no such column']\n")
    code, (card,) = tried()
    assert code == 1
    line = 1 + file.read_text().splitlines().index("    return rows['no such column']")
    assert card["error"][:3] == [
        f"model/prices/train.py:{line} in train",
        "  return rows['no such column']",
        "KeyError: 'no such column'",
    ]
    assert "lockgate try prices" in card["error"][-1] and len(card["error"]) == 4


def test_what_would_fail_later_is_named(tried: Try, project: Path) -> None:
    """A model that knows no row at the contract's edges, and imports what no image has."""
    file = project / "model" / "refunds" / "train.py"
    edit(file, "fraud = np.array", "assert rows.account_days.max() < 5000\n        fraud = np.array")
    file.write_text(file.read_text() + "\nimport rich\n")
    code, (card,) = tried()
    assert code == 1 and card["fails"]
    found = {check["name"]: check for check in card["checks"]}
    assert found["packages"]["outcome"] == "failed"
    assert "model/refunds/train.py imports rich" in found["packages"]["message"]
    assert found["edges of the contract"]["outcome"] == "failed"
    assert "account_days 5000.0: AssertionError" in found["edges of the contract"]["message"]
    assert found["prepare, train, predict, evaluate"]["outcome"] == "passed"


def test_rows_that_break_the_contract_are_named_and_nothing_is_fitted(tried: Try, project: Path) -> None:
    edit(project / "model" / "refunds" / "model.toml", "maximum = 5000", "maximum = 100")
    code, (card,) = tried()
    assert code == 1 and card["rows"] == 0
    assert checks(card)["identifier, columns, target"] == "failed"
    assert "column account_days" in card["checks"][-1]["message"]


def test_a_recipe_that_cannot_be_fitted_any_more_is_no_champion(tried: Try, project: Path) -> None:
    edit(project / "model" / "refunds" / "train.py", "def train(", "def train(*_):\n    raise OSError\n\n\ndef before(")
    commit = ["git", "-c", "user.name=ana", "-c", "user.email=ana@example.com", "commit", "-qam", "broken"]
    subprocess.run(commit, cwd=project, check=True)
    edit(project / "model" / "refunds" / "train.py", "def before(", "def train(")
    code, (card,) = tried("--against", "HEAD")
    assert code == 0
    assert "could not be fitted here: OSError" in card["beside"]
    rules = {rule["rule"]: rule for each in card["would"] for rule in each["rules"]}
    assert rules["not dearer than what is served"]["outcome"] == "not tried"


def test_a_model_is_tried_before_its_owner_is_known_and_while_another_model_is_broken(
    tried: Try, project: Path
) -> None:
    edit(project / "model" / "refunds" / "model.toml", 'owner = "payments@example.com"', "# owner")
    (project / "model" / "prices" / "model.toml").write_text("broken")
    code, (card,) = tried("refunds")
    assert code == 1 and card["metrics"]
    (said,) = [check for check in card["checks"] if check["outcome"] == "failed"]
    assert said["message"] == "model/refunds/model.toml: write owner: synth refuses a model without"


def test_rows_that_are_elsewhere_fail_nobodys_pull_request(tried: Try, project: Path) -> None:
    (project / "data" / "prices" / "train.parquet").unlink()
    code, (card,) = tried("prices")
    assert code == 0
    assert checks(card)["identifier, columns, target"] == "not tried"
    assert card["beside"].startswith("data/prices/train.parquet is not here")


def test_a_pull_request_has_its_card_as_summary_and_a_comment_by_a_job_that_runs_no_code_of_it(
    project: Path, tmp_path: Path
) -> None:
    """The steps of the workflow as the runner has them, with a script in the place of `gh`."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "pull-request.yml").read_text())["jobs"]
    assert jobs["card"]["permissions"] == {"contents": "read"}
    assert not [step for step in jobs["comment"]["steps"] if "uses" in step], "nothing of the branch is checked out"
    edit(project / "model" / "refunds" / "model.toml", "large = 150", "large = 100")
    (project / ".venv").symlink_to(Path(sys.prefix))
    summary, output, told = (tmp_path / name for name in ("summary", "output", "told"))
    made = {"BASE": "HEAD", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)}
    for step in jobs["card"]["steps"]:
        if "lockgate try" in step.get("run", "") or step.get("id") == "told":
            command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
            subprocess.run(command, cwd=project, env={**os.environ, **made}, check=True, capture_output=True)
    (found,) = re.findall(r"^markdown<<(\S+)\n(.*?)\n\1$", output.read_text(), re.M | re.S)
    assert summary.read_text().startswith("## Model refunds: ")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(f'#!/bin/sh\n{{ echo "$@"; cat; }} > {told}\n')
    (tmp_path / "bin" / "gh").chmod(0o700)
    (step,) = jobs["comment"]["steps"]
    hostile = f"{found[1]}\n$(touch pwned) `touch pwned`"
    posted = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "NUMBER": "7", "REVIEW": "review", "CARD": hostile}
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=project, env=posted, check=True)
    arguments, _, body = told.read_text().partition("\n")
    assert arguments == "pr comment 7 --edit-last --create-if-none --body-file -"
    assert body.strip() == f"review\n\n{hostile}"
    assert not list(project.rglob("pwned"))
