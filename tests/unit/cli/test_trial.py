"""What `lockgate try` knows without fitting anything."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cli.trial.card import Card, MetricShown, as_lines, as_markdown
from cli.trial.lock import imports_of, missing_from_lock
from cli.trial.recipes import changed_models, decided, without_policies

MODELS = ("prices", "refunds")


@pytest.mark.parametrize(
    ("files", "models"),
    [
        (["model/prices/train.py"], ["prices"]),
        (["model/prices/policy.toml", "model/refunds/model.toml"], ["prices", "refunds"]),
        (["model/shared/codes.py"], ["prices", "refunds"]),
        (["model/requirements.lock"], ["prices", "refunds"]),
        (["model/gone/train.py"], []),
        ([], []),
    ],
)
def test_a_branch_changes_the_models_of_its_files_and_all_by_what_they_share(
    files: list[str], models: list[str]
) -> None:
    assert changed_models(files, MODELS, {*MODELS, "gone"}) == tuple(models)


def test_a_policy_is_no_part_of_a_recipe() -> None:
    assert without_policies(["model/a/policy.toml", "model/a/more/policy.toml"]) == ("model/a/more/policy.toml",)


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = tmp_path / "model" / name.replace("__", "/")
        file = file.with_name(f"{file.name}.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "model"


def test_imports_are_followed_into_what_models_share(tmp_path: Path) -> None:
    model = folder(
        tmp_path,
        a__train="import json\nimport sklearn.base\nfrom model.shared import codes\nfrom lockgate import names\n",
        shared__codes="def late():\n    import polars\n",
        b__train="import torch\n",
    )
    assert imports_of(model, "a") == {"sklearn": "model/a/train.py", "polars": "model/shared/codes.py"}


def test_a_package_is_known_by_the_name_that_a_lock_has(tmp_path: Path) -> None:
    model = folder(tmp_path, a__train="import sklearn\nimport yaml\nimport torch\nimport numpy\n")
    lock = "scikit_learn==1.9.1 \\\n    --hash=sha256:0\nnumpy==2.4.6\n"
    installed = {"sklearn": ["scikit-learn"], "yaml": ["PyYAML"], "numpy": ["numpy"]}
    found = missing_from_lock(imports_of(model, "a"), lock, installed, {"scikit-learn": "1.9.1", "numpy": "2.3.0"})
    assert [each.partition(", which")[0].partition(": ")[0] for each in found] == [
        "model/a/train.py imports numpy",
        "model/a/train.py imports torch",
        "model/a/train.py imports yaml of pyyaml",
    ]
    assert "numpy 2.3.0 is here, model/requirements.lock has 2.4.6" in found[0]


CARD = Card(
    "a", "binary", 10, 20, "beside *nobody* @team", (MetricShown("recall:<b>|c", 0.5, 0.4, 0.6, 10),), (), (), (), ()
)


def test_what_a_branch_wrote_is_text_in_a_comment() -> None:
    shown = as_markdown([CARD])
    table, _, whole = shown.partition("<details>")
    assert "| recall\\:&lt;b&gt;\\|c | 0.5 |" in table
    assert "\\*nobody\\* \\@team" in table
    assert "beside *nobody* @team" in whole, "in a block of code"


def test_a_block_of_code_ends_where_its_text_ends() -> None:
    shown = as_markdown([Card(**{**vars(CARD), "error": ("```` [x](y)", "```")})])
    assert "\n`````text\n" in shown and "\n`````\n" in shown


def test_a_card_without_a_model_says_so() -> None:
    assert "changes no model" in as_markdown([])


def test_an_error_of_the_teams_code_fails_a_card() -> None:
    assert not CARD.fails
    assert Card(**{**vars(CARD), "error": ("KeyError",)}).fails
    assert "train failed" in as_lines(Card(**{**vars(CARD), "error": ("KeyError",)}))


def test_what_only_a_person_decides_has_a_value_while_a_model_is_tried() -> None:
    text, undecided = decided('owner = "ana"\nidentifier = "id"\n\n[data]\nprotected = 1\n')
    assert undecided == ("intended_use", "protected")
    assert tomllib.loads(text) == {
        "owner": "ana", "identifier": "id", "intended_use": "undecided", "protected": [], "data": {"protected": 1},
    }  # fmt: skip
    assert decided("owner =") == ("owner =", ())
