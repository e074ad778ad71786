"""Say that you have looked at a break-glass that somebody else caused; until then `lockgate status` shows it.

Sign as an approver of the environment; who broke the glass cannot acknowledge it.
"""

from __future__ import annotations

import argparse

from cli.commands.approve import say
from cli.context import json_argument, open_context
from lockgate import names
from lockgate.errors import NotFoundError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", help="the record of the break-glass, <model>/<number>, as `lockgate status` shows it")
    parser.add_argument("--reason", required=True, help="what was found out, for the record")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    model, _, number = arguments.record.partition("/")
    if not (number.isascii() and number.isdigit()):
        raise NotFoundError(
            f"record: found {arguments.record!r}, expected <model>/<number>, as `lockgate status` shows it"
        )
    body = {"model": context.model(model), "sequence": int(number), "reason": arguments.reason}
    return say(context, names.ACKNOWLEDGE_FUNCTION, body, json=arguments.json)
