"""A model's code imports what models share, and no other model's folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime import commit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two models and a folder that they share, in place of this project's own."""
    made = tmp_path / "model"
    for file, text in {
        "income/model.toml": "",
        "income/train.py": "from model.shared import features\n",
        "churn/model.toml": "",
        "churn/train.py": "from model.income import train\n",
        "shared/features.py": "",
    }.items():
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).write_text(text)
    monkeypatch.setattr(commit, "FOLDER", made)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.syspath_prepend(str(tmp_path))
    imported = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "model"}
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == "model"]:
        del sys.modules[name]
    sys.modules.update(imported)


def model(name: str) -> Any:
    return SimpleNamespace(name=name)


def test_a_model_imports_what_models_share(folder: Path) -> None:
    assert commit.training_module(model("income")).features


def test_a_model_that_imports_another_ones_folder_fails_its_training_with_what_to_do(folder: Path) -> None:
    with pytest.raises(ImportError, match=r"churn: found an import of model\.income, which is another model's"):
        commit.training_module(model("churn"))


def test_the_next_model_of_a_process_may_import_its_own_folder(folder: Path) -> None:
    with pytest.raises(ImportError):
        commit.training_module(model("churn"))
    assert commit.training_module(model("income"))
