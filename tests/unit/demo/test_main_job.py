"""What the demo does to a project of any models, without an embedded AWS."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from demo import main_job
from local import embedded
from local.settings import HOST
from tests.ports import free_ports

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the example and one more model, in one commit."""
    made = tmp_path / "project"
    for folder in ("environments", "model"):
        shutil.copytree(ROOT / folder, made / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "examples" / "prices", made / "model" / "prices")
    main_job.git(made, "init", "--quiet")
    main_job.git(made, "add", ".")
    main_job.git(made, *main_job.IDENTITY, "commit", "--quiet", "--message", "Two models")
    return made


def demo_of(project: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["demo", "--root", str(project), *options])
    monkeypatch.setenv("LOCKGATE_LOCAL_STATE", str(project / "state"))
    return main_job.main()


def test_the_example_gets_one_tree_and_any_other_model_shuffled_targets(project: Path) -> None:
    assert "one tree" in main_job.worsen(project / "model" / "employment")
    assert "max_iter = 1\n" in (project / "model" / "employment" / "model.toml").read_text()
    assert "shuffled" in main_job.worsen(project / "model" / "prices")
    target, got = pd.Series(np.arange(100.0), index=np.arange(100) * 2), []
    code = "def train(rows, target, model):\n    model.append(target)\n" + main_job.SHUFFLED
    module: dict[str, Any] = {}
    exec(code, module)  # noqa: S102 - ours, and the text that the demo appends
    module["train"](None, target, got)
    assert sorted(got[0]) == sorted(target) and list(got[0].index) == list(target.index)
    assert abs(np.corrcoef(got[0], target)[0, 1]) < 0.3


def test_a_model_that_is_in_no_commit_is_said_with_what_to_do(project: Path, tmp_path: Path) -> None:
    (project / "model" / "prices").rename(project / "model" / "costs")
    with pytest.raises(main_job.StepError, match=r"model/costs: is in no commit.*git add model"):
        main_job.cloned(project, tmp_path / "clone", ["costs"])
    shutil.rmtree(project / ".git")
    with pytest.raises(main_job.StepError, match="found no git repository"):
        main_job.cloned(project, tmp_path / "clone", [])


def test_a_project_that_names_other_persons_is_said_before_anything_starts(project: Path) -> None:
    main_job.refuse_without_approver(main_job.read_configuration(project))
    tools = project / "environments" / "tools.toml"
    tools.write_text(tools.read_text().replace('users = ["grace"]', 'users = ["maria"]'))
    with pytest.raises(main_job.StepError, match=r"found users ada, maria, expected ada and grace among them"):
        main_job.refuse_without_approver(main_job.read_configuration(project))


def test_a_project_with_other_environments_takes_data_that_no_commit_has(project: Path, tmp_path: Path) -> None:
    for model in ("employment_MA/employment_MA_2015", "employment_MA/employment_MA_2016", "prices/train"):
        file = project / "data" / f"{model}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"rows")
    (tmp_path / "build").mkdir()
    root = main_job.project_with(ROOT / "tests" / "smallest" / "environments", project, tmp_path / "build")
    assert (root / "data" / "prices" / "train.parquet").read_bytes() == b"rows"


def test_options_name_models_only_where_not_all_are_delivered(project: Path, tmp_path: Path) -> None:
    configuration = main_job.read_configuration(project)

    def options(*models: str) -> list[tuple[str, ...]]:
        return main_job.Demo(configuration, SimpleNamespace(), tmp_path, project, models).one_by_one

    assert options() == options("employment", "prices") == [()]
    assert options("prices") == [("--model", "prices")]
    with pytest.raises(main_job.LockgateError, match=r"found 'houses', expected one of employment, prices"):
        options("houses")


def test_nothing_is_made_in_a_folder_that_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo_of(tmp_path, monkeypatch) == 1
    assert "environments/tools.toml" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_embedded_aws_running_and_says_how_to_look(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[Path] = []
    monkeypatch.setattr(embedded, "stop", lambda state: bool(ended.append(state)))

    def fail(demo: main_job.Demo) -> None:
        demo._session = SimpleNamespace()
        raise main_job.StepError("a step failed")

    monkeypatch.setattr(main_job, "main_job", fail)
    assert demo_of(project, monkeypatch) == 1
    said = capsys.readouterr().err
    assert "demo: a step failed" in said and "is running as the error left it" in said and "make down" in said
    assert len(ended) == 1, "an earlier run's, before this one began"


def test_a_port_that_is_taken_is_said_where_it_was_asked_for_and_passed_over_where_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = free_ports(6)
    monkeypatch.setattr(embedded.Settings, "port", first)
    assert embedded.free_port() == first
    with socket.socket() as taken:
        taken.bind((HOST, first + 2))
        taken.listen()
        assert embedded.free_port() == first + 3
        with pytest.raises(embedded.EmbeddedError, match=rf"port {first + 2} on {HOST} is in use.*--port"):
            embedded.free_port(first)
