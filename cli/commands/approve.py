"""Approve a release, a change of infrastructure that waits for a person, or a break-glass that somebody else caused.

AWS says who you are, and you may not be who delivered it or broke the glass. A break-glass stays open in
`lockgate status` until it is approved, with what was found out as the reason.
"""

from __future__ import annotations

import argparse
import re
from typing import Literal, NamedTuple

from cli.context import Context, json_argument, model_argument, open_context
from cli.git import relation
from cli.terminal import show, show_json
from lockgate import names
from lockgate.aws.function_urls import FunctionUrl
from lockgate.errors import RefusedError
from lockgate.ledger.calls import Acknowledge, Decide, DecideOnStacks
from lockgate.schema import Document

OWN = ("tools", "anchor")  # stacks that no release goes to
ASSEMBLY = re.compile(r"[0-9a-f]{64}")
RECORD = re.compile(r"([^/]+)/([0-9]+)", re.ASCII)
VERSION = re.compile(r"[0-9]+", re.ASCII)


class BreakGlassRecord(NamedTuple):
    """The record of a break-glass: the ledger's model, and the record's number in its chain."""

    model: str
    sequence: int


EXAMPLE = 'lockgate approve 3 --env prod --reason "tried in staging"'


def arguments(parser: argparse.ArgumentParser) -> None:
    decision_arguments(parser, ", or the record of a break-glass, <model>/<number>")
    parser.add_argument("--reason", default="", help="why, for the record; a break-glass needs one")


def decision_arguments(parser: argparse.ArgumentParser, or_else: str = "") -> None:
    parser.add_argument(
        "what",
        type=decided,
        help=f"model package version, the 64 digits of an assembly{or_else}; as `lockgate status` shows it",
    )
    parser.add_argument("--env", help="the environment whose gate waits")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    if isinstance(arguments.what, BreakGlassRecord):
        return _acknowledge(arguments)
    return decide(arguments, "approve")


def decide(arguments: argparse.Namespace, decision: Literal["approve", "reject"]) -> int:
    """Send a decision to the approval function, which alone may let the workflow go on."""
    if isinstance(arguments.what, BreakGlassRecord):
        raise RefusedError(f"{decision}: a break-glass has happened: approve it with what was found out")
    if arguments.env is None:
        raise RefusedError(f"{decision}: found no --env, expected the environment whose gate waits")
    context = open_context()
    if isinstance(arguments.what, str):
        environment = arguments.env if arguments.env in OWN else context.environment(arguments.env)
        stacks = DecideOnStacks(ask=decision, environment=environment, assembly=arguments.what, reason=arguments.reason)
        return say(context, "stacks", stacks, json=arguments.json)
    call = Decide(
        model=context.model(arguments.model),
        version=str(arguments.what),
        environment=context.environment(arguments.env),
        decision=decision,
        reason=arguments.reason,
    )
    return say(context, "approval", call, json=arguments.json)


def _acknowledge(arguments: argparse.Namespace) -> int:
    """Say that the caller has looked at a break-glass."""
    model, sequence = arguments.what
    if arguments.env is not None or arguments.model is not None:
        raise RefusedError(f"approve: found --env or --model, expected neither: {model}/{sequence} says both")
    if not arguments.reason:
        raise RefusedError("approve: found no --reason, expected what was found out about the break-glass")
    context = open_context()
    call = Acknowledge(model=context.model(model), sequence=sequence, reason=arguments.reason)
    return say(context, "acknowledgement", call, json=arguments.json)


def decided(text: str) -> int | str | BreakGlassRecord:
    """What a decision is about. Raises ArgumentTypeError for anything but a version, an assembly or a record."""
    if ASSEMBLY.fullmatch(text):
        return text
    if VERSION.fullmatch(text):
        return int(text)
    if record := RECORD.fullmatch(text):
        return BreakGlassRecord(record[1], int(record[2]))
    raise argparse.ArgumentTypeError(
        f"found {text!r}, expected a version (3), an assembly (64 digits of 0-9 and a-f) or a record "
        "(<model>/<number>); `lockgate status` shows what waits"
    )


def say(context: Context, path: str, call: Document, *, json: bool, function: str = names.DECIDE_FUNCTION) -> int:
    """Tell a function what is decided, signed as the caller, and print its answer."""
    answer = FunctionUrl(context.session, function).post(call, path)
    if json:
        show_json(answer)
    else:
        show(answer["message"])
        commit, served = answer.get("commit"), answer.get("live_commit")
        if commit and served:
            stands = relation(context.root, commit, served)
            show(f"commit {commit[:12]} to {served[:12]}, which is live there: {stands}")
    return 0
