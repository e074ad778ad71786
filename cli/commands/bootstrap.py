"""Prepare an environment's account, as its administrator: `cdk bootstrap` with rights for these stacks only.

Makes two kinds of managed policies from the synthesized templates, then runs `cdk bootstrap` with them: what
CloudFormation may do when it deploys (far less than an administrator), and the boundary that none of the roles it
makes can do more than. Run it again when a change needs more: a deployment that may not do something says so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cli.context import json_argument, open_context
from cli.terminal import progress, show_json
from lockgate import names
from lockgate.aws.managed_policies import put_policy
from lockgate.aws.sessions import caller_of
from lockgate.errors import LockgateError, NotFoundError
from lockgate.templates import rights


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", help="tools, anchor, or an environment of the promotion")
    parser.add_argument("--assembly", type=Path, default=Path("cdk.out"), help="what cdk synth wrote (cdk.out)")
    parser.add_argument("--dry-run", action="store_true", help="only print the policies")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    accounts = context.configuration.stages
    if arguments.environment not in accounts:
        found = f"environment: found {arguments.environment!r}, expected one of {', '.join(accounts)}"
        raise NotFoundError(found)
    account, region = accounts[arguments.environment], context.tools.region
    documents = rights.documents(context.configuration, arguments.assembly.resolve(), account)
    if arguments.dry_run:
        show_json(documents)
        return 0
    caller, _ = caller_of(context.session)
    if caller != account:
        raise LockgateError(f"{arguments.environment}: found credentials of {caller}, expected those of {account}")
    iam = context.client("iam")
    arns = {name: _put(iam, account, name, document) for name, document in documents.items()}
    execution = [arn for name, arn in arns.items() if name.startswith(rights.EXECUTION)]
    _cdk_bootstrap(account, region, execution, context.tools.account)
    if arguments.json:
        show_json({"account": account, "policies": sorted(arns.values())})
    else:
        print(
            f"{arguments.environment}: account {account} is prepared, with {len(execution)} policies for CloudFormation"
        )
    return 0


def _put(iam: Any, account: str, name: str, document: dict[str, Any]) -> str:
    """ARN of the managed policy of this name, once it says this."""
    arn = names.policy_arn(account, name)
    if put_policy(iam, account, name, document):
        progress(f"policy {arn}")
    return arn


def _cdk_bootstrap(account: str, region: str, execution: list[str], tools: str) -> None:
    command = ["cdk", "bootstrap", f"aws://{account}/{region}", "--no-notices"]
    command += ["--cloudformation-execution-policies", ",".join(execution)]
    if account != tools:
        command += ["--trust", tools]
    with tempfile.TemporaryDirectory() as elsewhere:  # beside a cdk.json it would synthesize first
        done = subprocess.run(command, cwd=elsewhere, env=os.environ, capture_output=True, text=True)
    if done.returncode:
        raise LockgateError(f"cdk bootstrap ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
