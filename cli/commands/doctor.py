"""Check an account before its first deploy, and say what to do: bootstrap, identity provider, certificate, roles.

Run it with credentials of the environment's own account; it only reads. Exit code 1 while something is missing.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from cli.context import Context, json_argument, open_context
from cli.terminal import Shown, Style, line, show, show_json, styled
from lockgate.aws.account import look
from lockgate.doctor import AccountCheck, State, Wanted, diagnose
from lockgate.errors import NotFoundError

COLOURS: dict[State, Style] = {"ok": "green", "note": "yellow", "missing": "red"}

EXAMPLE = "lockgate doctor prod"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", help="tools, or an environment that releases walk through")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    wanted = _wanted(context, arguments.environment)
    findings = diagnose(wanted, look(context.client, wanted))
    missing = [finding for finding in findings if finding.state == "missing"]
    if arguments.json:
        show_json({"environment": wanted.name, "findings": [asdict(finding) for finding in findings]})
    else:
        show(*(said for finding in findings for said in _lines(finding)))
        ready = f"{len(missing)} missing; docs/first-account.md" if missing else f"cdk deploy '{wanted.name}/*' can run"
        show("", f"{wanted.name}: {ready}")
    return 1 if missing else 0


def _wanted(context: Context, name: str) -> Wanted:
    tools = context.tools
    if name == "tools":
        return Wanted(name, tools.account, tools.region, None, tools.github.provider_arn, tools.github.repository_id)
    for environment in context.configuration.environments:
        if environment.name == name:
            return Wanted(
                name,
                environment.account,
                environment.region,
                environment.certificate_arn,
                None,
                tools.github.repository_id,
            )
    raise NotFoundError(f"environment: found {name!r}, expected tools or one of {', '.join(tools.promotion)}")


def _lines(finding: AccountCheck) -> list[Shown]:
    shown = line(styled(f"{finding.state:8}", COLOURS[finding.state]), f"{finding.check}: {finding.found}")
    return [shown, f"        -> {finding.todo}"] if finding.todo else [shown]
