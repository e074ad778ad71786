"""The functions' variables are what their handlers read."""

from __future__ import annotations

import importlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lockgate import names
from lockgate.configuration.environment import read_environment
from lockgate.policy.of_model import read_model_policy

HANDLERS = ("anchor", "break_glass", "controller", "decide", "deploy", "gate", "replay", "watch")


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_is_given_exactly_the_variables_that_its_handler_reads(synthesized: Any, name: str) -> None:
    wanted = {field.name.upper() for field in fields(importlib.import_module(f"lambdas.{name}").Settings)}
    found = [
        function["Properties"]
        for _, function in synthesized.resources("AWS::Lambda::Function")
        if function["Properties"]["Handler"] == f"lambdas.{name}.handler"
    ]
    assert found
    for properties in found:
        assert set(properties["Environment"]["Variables"]) == wanted


def test_the_gates_stack_says_which_policies_its_functions_have(synthesized: Any) -> None:
    (asset,) = synthesized.directory.glob("asset.*")
    said = synthesized.stacks[names.PROMOTION_STACK]["Metadata"][names.POLICIES]
    assert {model for models in said.values() for model in models} == {"alpha", "beta"}
    for environment, models in said.items():
        rules = read_environment(asset / "environments" / f"{environment}.toml").rules
        for model, digest in models.items():
            assert digest == read_model_policy(asset / "model" / model).in_environment(environment, rules).sha256


def test_every_handler_is_deployed() -> None:
    folder = Path(__file__).parents[2] / "lambdas"
    modules = [*folder.glob("*.py"), *(file.parent for file in folder.glob("*/__init__.py"))]
    assert {module.stem for module in modules} - {"__init__", "shared", "signed"} == set(HANDLERS)


def test_the_bundle_holds_handlers_rules_and_policies_and_nothing_else(synthesized: Any) -> None:
    (asset,) = synthesized.directory.glob("asset.*")
    assert {path.name for path in asset.iterdir()} == {"environments", "lambdas", "lockgate", "model"}
    policies = {str(path.relative_to(asset)) for path in (asset / "model").rglob("*") if path.is_file()}
    assert policies == {"model/alpha/policy.toml", "model/beta/policy.toml"}, "no other file of a commit's"
    assert not list(asset.rglob("*.pyc"))
    assert (asset / "lambdas" / "gate.py").is_file()
    assert (asset / "lockgate" / "aws").is_dir()
    assert not (asset / "lockgate" / "templates").exists(), "a new word in a review would deploy all functions again"
