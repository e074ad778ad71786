"""Put a version into one environment past its gate and approvals; recorded, said aloud, open until acknowledged.

For an emergency. The version's package, evidence, image and model data are still verified, and the deployment goes its
usual way, which takes it back when it fails. Sign as a person in a role that the environment names for it, such as
lockgate-break-glass. Then somebody else runs `lockgate approve` on its record.
"""

from __future__ import annotations

import argparse
import uuid

from cli.commands.approve import say
from cli.context import json_argument, model_argument, open_context
from lockgate import names
from lockgate.ledger.calls import BreakTheGlass

EXAMPLE = 'lockgate break-glass 3 --env prod --reason "the fix for the outage"'


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", type=int, help="model package version, as the registry has it")
    parser.add_argument("--env", required=True, help="the one environment that it goes to")
    parser.add_argument("--reason", required=True, help="why, for the record and for everybody who hears the alarm")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    call = BreakTheGlass(
        model=context.model(arguments.model),
        version=str(arguments.version),
        environment=context.environment(arguments.env),
        reason=arguments.reason,
        token=uuid.uuid4().hex,
    )
    return say(context, "", call, json=arguments.json, function=names.BREAK_GLASS_FUNCTION)
