"""Prepare an environment's account, as its administrator: `cdk bootstrap` with rights for these stacks only.

Makes two kinds of managed policies from the synthesized templates, then runs `cdk bootstrap` with them: what
CloudFormation may do when it deploys (far less than an administrator), and the boundary that none of the roles it
makes can do more than. Run it again when a change needs more: a deployment that may not do something says so.

With --evaluator: build the evaluator's image from what is checked out, and compare it with the one that the policy
pins. It judges every commit, so no delivery builds it. --pin writes the digest into environments/tools.toml where it
differs; a reviewed commit and a deployment make it the evaluator. It needs no stack but tools/delivery, so that
everything else is deployed once, with the right digest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cli.commands.deliver import build_image, wait_for_provenance
from cli.context import Context, json_argument, open_context
from cli.git import commit_of
from cli.terminal import progress, show, show_json
from lockgate import names
from lockgate.aws.account import stack_owners
from lockgate.aws.managed_policies import put_policy
from lockgate.aws.sessions import caller_of
from lockgate.doctor import foreign_stacks
from lockgate.errors import LockgateError, NotFoundError, RefusedError
from lockgate.templates import rights

EXAMPLE = "lockgate bootstrap prod --dry-run"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", help="tools, anchor, or an environment of the promotion")
    parser.add_argument("--assembly", type=Path, default=Path("cdk.out"), help="what cdk synth wrote (cdk.out)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="only print the policies")
    what.add_argument("--evaluator", action="store_true", help="build the evaluator's image instead (of tools only)")
    parser.add_argument("--pin", action="store_true", help="with --evaluator: write its digest where another is pinned")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    accounts = context.configuration.stages
    if arguments.environment not in accounts:
        found = f"environment: found {arguments.environment!r}, expected one of {', '.join(accounts)}"
        raise NotFoundError(found)
    if arguments.evaluator:
        return _evaluator(context, arguments.environment, pin=arguments.pin, json=arguments.json)
    if arguments.pin:
        raise RefusedError("bootstrap: found --pin, expected only with --evaluator, whose digest it writes")
    account, region = accounts[arguments.environment], context.tools.region
    if not arguments.dry_run:
        _refuse_wrong_account(context, arguments.environment, account)
    documents = rights.documents(context.configuration, arguments.assembly.resolve(), account)
    if arguments.dry_run:
        show_json(documents)
        return 0
    iam = context.client("iam")
    arns = {name: _put(iam, account, name, document) for name, document in documents.items()}
    execution = [arn for name, arn in arns.items() if name.startswith(rights.EXECUTION)]
    _cdk_bootstrap(account, region, execution, context.tools.account)
    if arguments.json:
        show_json({"account": account, "policies": sorted(arns.values())})
    else:
        show(
            f"{arguments.environment}: account {account} is prepared, with {len(execution)} policies for CloudFormation"
        )
    return 0


def _refuse_wrong_account(context: Context, environment: str, account: str) -> None:
    """Raise LockgateError for credentials of another account, or where another Lockgate has our names."""
    caller, _ = caller_of(context.session)
    if caller != account:
        raise LockgateError(f"{environment}: found credentials of {caller}, expected those of {account}")
    foreign = foreign_stacks(stack_owners(context.client("cloudformation")), context.tools.github.repository_id)
    if foreign:
        raise RefusedError(
            f"{environment}: found stacks of another Lockgate in account {account}: {foreign}; expected none: its "
            "policies and stacks would be taken over. Use another account"
        )


def _evaluator(context: Context, environment: str, *, pin: bool, json: bool) -> int:
    """Build the evaluator's image and compare it with the pinned one; 3 where they differ and stay so."""
    if environment != "tools":
        raise RefusedError(f"bootstrap --evaluator: found {environment!r}, expected tools, which has the evaluator")
    commit = commit_of(context.root, "HEAD")
    image = build_image(
        context,
        context.session,
        commit,
        project=names.EVALUATOR_PROJECT,
        repository=names.EVALUATOR_REPOSITORY,
        key=names.evaluator_source_key(commit),
    )
    if not pin:  # before the first deploy nobody is there yet who starts what vouches for it
        wait_for_provenance(context, context.session, image, names.EVALUATOR_PROJECT, names.EVALUATOR_REPOSITORY)
    before = context.tools.evaluator_image_digest
    if pin and image.digest != before:
        file = context.root / "environments" / "tools.toml"
        file.write_text(pinned(file.read_text(), before, image.digest))
    now = image.digest if pin else before
    if json:
        show_json({"commit": commit, "image_digest": image.digest, "pinned": now})
    elif image.digest == before:
        show(f"The evaluator of {commit[:12]} is the one that the policy pins: {before}")
    elif pin:
        show(f"The evaluator of {commit[:12]} is {image.digest}", f"environments/tools.toml pinned {before}")
        show("It pins the new one now: review and commit the change, then deploy tools.")
    else:
        show(f"The evaluator of {commit[:12]} is {image.digest}", f"environments/tools.toml pins   {before}")
    return 0 if image.digest == now else 3


def pinned(text: str, before: str, digest: str) -> str:
    """environments/tools.toml with another digest of the evaluator, and all else as it was."""
    if (times := text.count(f'"{before}"')) != 1:
        expected = "expected it once, in double quotes, as image_digest of [evaluator]"
        raise LockgateError(f"environments/tools.toml: found {before} {times} times, {expected}. Write {digest} there")
    return text.replace(f'"{before}"', f'"{digest}"')


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
