"""Retire a model: record under your name that it goes and why, and say what is left to do.

Nothing is stopped by it. What is live is refused with who would be cut off, until --cut-off says that its callers know.
The model's history stays: `lockgate status --model`, `lockgate explain` and `lockgate verify` read it when its folder
is gone. Its package group and its records in the ledger are never deleted.
"""

from __future__ import annotations

import argparse

from cli.commands.approve import say
from cli.context import json_argument, open_context
from cli.terminal import show, whole
from lockgate import names
from lockgate.ledger.calls import Retire

EXAMPLE = 'lockgate retire prices --reason "replaced by the model houses"'


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="name of the model's folder below model/, which may be gone already")
    parser.add_argument("--reason", required=True, help="why, for the record")
    parser.add_argument("--cut-off", action="store_true", help="its callers know that they get no answer any more")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    model = context.model_with_history(arguments.model)
    ended = say(
        context,
        "retirement",
        Retire(model=model, reason=arguments.reason, cut_off=arguments.cut_off),
        json=arguments.json,
    )
    if not arguments.json:
        show("", "What is left to do, in this order:")
        show(*(whole(f"  {step}") for step in steps(model, context.tools.promotion)))
    return ended


def steps(model: str, environments: tuple[str, ...]) -> list[str]:
    """What ends the service of a model, and takes it out of the project."""
    deleted = [
        f"aws cloudformation delete-stack --stack-name {names.release_stack(environment, model)}"
        f"  # as an administrator of {environment}"
        for environment in environments
    ]
    stages = " ".join(f"'{stage}/*'" for stage in ("tools", *environments))
    return [
        *deleted,
        f"git rm -r model/{model} && rm -rf model/{model}  # and what is in data/",
        f"cdk deploy {stages}  # or commit, and let the workflow do it",
    ]
