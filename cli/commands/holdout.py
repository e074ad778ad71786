"""Record a fresh holdout under your name, with the proof that it shares no row with training or earlier holdouts.

Publish its snapshot first (`lockgate snapshot`). From then on the gate decides on these rows, with a budget of their
own. A model's first holdout needs no record.
"""

from __future__ import annotations

import argparse

from cli.commands.approve import say
from cli.context import json_argument, model_argument, open_context
from lockgate import names


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("add",), help="what to do")
    parser.add_argument("snapshot", help="id of the snapshot whose holdout it is, as `lockgate snapshot` prints it")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    body = {"model": context.model(arguments.model), "snapshot": arguments.snapshot}
    return say(context, names.HOLDOUT_FUNCTION, body, json=arguments.json)
