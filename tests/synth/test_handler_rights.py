"""What a handler's docstring says that it calls is what its role may do, in both directions."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from lockgate_constructs.python_function import INTERFACE_ACTIONS

LAMBDAS = Path(__file__).parents[2] / "lambdas"
ACTION = re.compile(r"\b[a-z][a-z0-9-]*:[A-Z][A-Za-z]+")
# What every function is given, or one with a queue of dead letters or inside a network, without calling it itself.
GIVEN = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage", *INTERFACE_ACTIONS}
# Where docstring and role still differ, and why; this list may only shrink.
DIFFERENCES: dict[str, dict[str, str]] = {}


def handlers() -> list[str]:
    modules = [*LAMBDAS.glob("*.py"), *(file.parent for file in LAMBDAS.glob("*/__init__.py"))]
    names = [module.stem for module in modules if module.stem != "__init__"]
    return sorted(name for name in names if hasattr(importlib.import_module(f"lambdas.{name}"), "handler"))


def said(docstring: str) -> set[str]:
    """The actions that the section "Calls:" names: its lines are indented, each action in full."""
    section = re.search(r"^Calls:\n((?:[ ].*\n?)+)", docstring, re.M)
    assert section, "no section Calls:"
    return set(ACTION.findall(section[1]))


def allowed(synthesized: Any, name: str) -> set[str]:
    """The actions that the role of a handler's function may do, in whichever stack it is."""
    found: set[str] = set()
    for template in synthesized.stacks.values():
        resources = template.get("Resources", {})
        for function in resources.values():
            if function["Properties"].get("Handler") == f"lambdas.{name}.handler":
                found |= rights(resources, function["Properties"]["Role"]["Fn::GetAtt"][0])
    assert found, f"no function runs lambdas.{name}.handler"
    return found - GIVEN


def rights(resources: dict[str, Any], role: str) -> set[str]:
    """What a role may do, by the policies inside it and by those beside it."""
    documents = [policy["PolicyDocument"] for policy in resources[role]["Properties"].get("Policies", [])]
    documents += [
        resource["Properties"]["PolicyDocument"]
        for resource in resources.values()
        if resource["Type"] == "AWS::IAM::Policy" and {"Ref": role} in resource["Properties"]["Roles"]
    ]
    statements = [statement for document in documents for statement in document["Statement"]]
    actions = [statement["Action"] for statement in statements if statement["Effect"] == "Allow"]
    return {action for each in actions for action in ([each] if isinstance(each, str) else each)}


@pytest.mark.parametrize("name", handlers())
def test_a_role_may_do_what_its_handler_says_that_it_calls_and_nothing_else(synthesized: Any, name: str) -> None:
    docstring = importlib.import_module(f"lambdas.{name}").__doc__ or ""
    differences = said(docstring) ^ allowed(synthesized, name)
    assert differences == set(DIFFERENCES.get(name, {}))
