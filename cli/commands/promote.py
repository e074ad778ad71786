"""Start the promotion of a registered version again, after it failed, expired or was stopped.

The gates already passed are not asked again: their verdicts are in the ledger. Approvals are.
"""

from __future__ import annotations

import argparse
import json

from botocore.exceptions import ClientError

from cli.context import json_argument, model_argument, open_context
from cli.terminal import show_json
from lockgate import names
from lockgate.aws import promotions
from lockgate.errors import RefusedError
from lockgate.gate.waiver import numbers


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
    package = context.client("sagemaker").describe_model_package(
        ModelPackageName=names.package_arn(context.tools.account, context.tools.region, model, version)
    )["ModelPackageArn"]
    name = names.promotion_execution(model, version, last.attempt + 1 if last else 1)
    event = {"model": model, "version": str(version), "package_arn": package}
    try:
        stepfunctions.start_execution(stateMachineArn=machine, name=name, input=json.dumps(event))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        raise RefusedError(f"{model} version {version}: somebody started {name} at the same time") from error
    if arguments.json:
        show_json({"model": model, "version": version, "execution": name})
    else:
        print(f"Promotion {name} started; `lockgate status` shows it.")
    return 0
