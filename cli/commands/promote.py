"""Start the promotion of a registered version again, after it failed, expired or was stopped.

The gates already passed are not asked again: their verdicts are in the ledger. Approvals are. What could lead nowhere
is refused at once: a version that was refused, superseded, or rolled back from.
"""

from __future__ import annotations

import argparse

from cli.commands.status import why_not
from cli.context import Context, json_argument, model_argument, open_context
from cli.terminal import progress, show, show_json, utc_now
from lockgate import names
from lockgate.aws import promotions
from lockgate.aws.failures import FAILURES, told
from lockgate.aws.reader import look_at
from lockgate.aws.registry import Registry
from lockgate.errors import NotFoundError, RefusedError
from lockgate.gate.waiver import numbers
from lockgate.ledger.chain import ReleaseChain
from lockgate.release.promotable import as_collected

EXAMPLE = "lockgate promote 3"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", type=int, help="model package version, as `lockgate status` shows it")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    model, version = context.model(arguments.model), arguments.version
    stepfunctions = context.client("stepfunctions")
    machine = names.state_machine_arn(context.tools.account, context.tools.region)
    last = promotions.last_attempt(
        stepfunctions, machine, model, version, numbers(context.ledger.chain(model), version)
    )
    if last is not None and last.status == "RUNNING":
        raise RefusedError(f"{model} version {version}: {last.name} is under way; see `lockgate status`")
    package = names.package_arn(context.tools.account, context.tools.region, model, version)
    if Registry(context.client("sagemaker")).describe(package) is None:
        raise NotFoundError(f"{package}: found no such package, expected one in the registry; see `lockgate status`")
    if said := why_not(context, _as_known(context, model), version):
        raise RefusedError(f"{model} version {version}: nothing is started: {said}")
    name = names.promotion_execution(model, version, last.attempt + 1 if last else 1)
    if not promotions.start(stepfunctions, machine, name, model, version, package):
        raise RefusedError(f"{model} version {version}: somebody started {name} at the same time")
    if arguments.json:
        show_json({"model": model, "version": version, "execution": name})
    else:
        show(f"Promotion {name} started; `lockgate status` shows it.")
    return 0


def _as_known(context: Context, model: str) -> ReleaseChain:
    """The model's chain, with what environments remember and the ledger does not know yet."""
    chain = context.ledger.chain(model)
    for environment in context.configuration.environments:
        try:
            journal = look_at(context.client("sts"), environment).journal(model)
        except FAILURES as error:
            progress(f"{environment.name} {told(error)}")  # it refuses by itself what it must not take
            continue
        chain = as_collected(chain, journal, environment.name, utc_now())
    return chain
