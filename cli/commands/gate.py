"""Ask the gate what it would say about a version now; nothing is recorded and nothing of the holdout is spent."""

from __future__ import annotations

import argparse

from cli.context import json_argument, model_argument, open_context
from cli.terminal import outcome, show_json
from lockgate import names
from lockgate.aws.functions import invoke


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", type=int, help="model package version, as `lockgate status` shows it")
    parser.add_argument("--env", required=True, help="the environment whose policy is applied")
    parser.add_argument("--dry-run", action="store_true", required=True, help="what this command does, said aloud")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    model, tools = context.model(arguments.model), context.tools
    event = {
        "model": model,
        "version": str(arguments.version),
        "package_arn": names.package_arn(tools.account, tools.region, model, arguments.version),
        "environment": context.environment(arguments.env),
        "dry_run": True,
    }
    body = invoke(context.client("lambda"), names.GATE_FUNCTION, event)
    if arguments.json:
        show_json(body)
    else:
        print(f"{model} version {arguments.version} for {arguments.env} would be {outcome(body['outcome'])}")
        for reason in body["reasons"]:
            dry = " (dry run)" if reason.get("dry_run") else ""
            print(f"  {reason['rule']}{dry}: {outcome(reason['outcome'])}: {reason['message']}")
    return 0 if body["outcome"] == "passed" else 3
