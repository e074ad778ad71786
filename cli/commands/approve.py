"""Approve a release, or a change of infrastructure, that waits for a person.

AWS says who you are, and you may not be who delivered it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any

from cli.context import Context, json_argument, model_argument, open_context
from cli.terminal import show_json
from lockgate import names
from lockgate.aws.function_urls import FunctionUrl

OWN = ("tools", "anchor")  # stacks that no release goes to
ASSEMBLY = re.compile(r"[0-9a-f]{64}")


def arguments(parser: argparse.ArgumentParser) -> None:
    decision_arguments(parser)
    parser.add_argument("--reason", default="", help="why, for the record")


def decision_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        type=_version_or_assembly,
        help="model package version, as `lockgate status` shows it; or the 64 digits of an assembly",
    )
    parser.add_argument("--env", required=True, help="the environment whose gate waits")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    return decide(arguments, "approve")


def decide(arguments: argparse.Namespace, decision: str) -> int:
    """Send a decision to the approval function, which alone may let the workflow go on."""
    context = open_context()
    if isinstance(arguments.what, str):
        environment = arguments.env if arguments.env in OWN else context.environment(arguments.env)
        about = {"ask": decision, "environment": environment, "assembly": arguments.what, "reason": arguments.reason}
        return say(context, names.INFRASTRUCTURE_FUNCTION, about, json=arguments.json)
    body = {
        "model": context.model(arguments.model),
        "version": str(arguments.what),
        "environment": context.environment(arguments.env),
        "decision": decision,
        "reason": arguments.reason,
    }
    return say(context, names.APPROVAL_FUNCTION, body, json=arguments.json)


def _version_or_assembly(text: str) -> int | str:
    return text if ASSEMBLY.fullmatch(text) else int(text)


def say(context: Context, function: str, body: Mapping[str, Any], *, json: bool) -> int:
    """Tell a function, signed as the caller, and print its answer."""
    answer = FunctionUrl(context.session, function).post(body)
    if json:
        show_json(answer)
    else:
        print(answer["message"])
    return 0
