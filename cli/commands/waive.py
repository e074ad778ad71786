"""Let one rule go for one version in one environment, for a reason and until a day; recorded under your name."""

from __future__ import annotations

import argparse

from cli.commands.approve import say
from cli.context import json_argument, model_argument, open_context
from lockgate.ledger.calls import Waive

EXAMPLE = 'lockgate waive 3 --env dev --rule ranking --reason "known, mended in the next" --expires 2030-01-31'


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", type=int, help="model package version, as `lockgate status` shows it")
    parser.add_argument("--env", required=True, help="the environment whose rule is let go")
    parser.add_argument("--rule", required=True, help="name of the rule, as `lockgate explain` shows it")
    parser.add_argument("--reason", required=True, help="why, for the record")
    parser.add_argument("--expires", required=True, help="last day, YYYY-MM-DD, 90 days ahead at most")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    call = Waive(
        model=context.model(arguments.model),
        version=str(arguments.version),
        environment=context.environment(arguments.env),
        rule=arguments.rule,
        reason=arguments.reason,
        expires=arguments.expires,
    )
    return say(context, "waiver", call, json=arguments.json)
