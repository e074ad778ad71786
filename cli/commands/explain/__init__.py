"""Explain a version: every verdict with its numbers, where it came from, who approved it, where it went.

With --fairness: how it treats the groups of each protected attribute, with intervals; small groups are inconclusive.
With --dry-run ENV: what that environment's gate would say now. Nothing is recorded, nothing of the holdout is spent.
"""

from __future__ import annotations

import argparse

from cli.commands.explain import dry_run, fairness, records
from cli.context import json_argument, model_argument, open_context
from lockgate.errors import RefusedError

EXAMPLE = "lockgate explain 3 --env prod"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", type=int, help="model package version, as `lockgate status` shows it")
    parser.add_argument("--env", help="only this environment's records")
    view = parser.add_mutually_exclusive_group()
    view.add_argument("--fairness", action="store_true", help="show the groups of each protected attribute instead")
    view.add_argument("--dry-run", metavar="ENV", help="ask the gate of this environment instead")
    fairness.arguments(parser.add_argument_group("with --fairness"))
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    _refuse_options_of_other_views(arguments)
    context = open_context()
    model = context.model_with_history(arguments.model)
    if arguments.dry_run is not None:
        return dry_run.run(context, model, arguments.version, arguments.dry_run, json_wanted=arguments.json)
    if arguments.fairness:
        return fairness.run(context, model, arguments)
    return records.run(context, model, arguments)


def _refuse_options_of_other_views(arguments: argparse.Namespace) -> None:
    """An option that would be ignored is an error. Raises RefusedError."""
    others = [] if arguments.fairness else [f"--{name}" for name in fairness.given(arguments)]
    if others:
        raise RefusedError(f"explain: found {', '.join(others)}, expected only with --fairness")
    if arguments.env is not None and (arguments.fairness or arguments.dry_run is not None):
        raise RefusedError("explain: found --env beside --fairness or --dry-run, expected one of them")
