"""Starts the promotion of a registered package: once, whatever is delivered twice, late or out of order.

Event: EventBridge "SageMaker Model Package State Change", or a scheduled event (the reconciler: every package that
still waits is started; what was started before is left alone).
Answer: {"started": [names], "handled": [names], "refused": [reasons]}. A refusal is logged and not raised: retrying
would not make an unknown package known.

Environment:
    STATE_MACHINE_ARN   the promotion workflow
    MODELS              names of the models, separated by commas
Calls:
    sagemaker:DescribeModelPackage   on arn:aws:sagemaker:<region>:<account>:model-package/lockgate-<model>/*
    sagemaker:ListModelPackages      on * (it has no resource)
    states:StartExecution            on STATE_MACHINE_ARN
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lambdas import shared
from lockgate import canonical, names
from lockgate.aws import clients
from lockgate.aws.registry import Registry
from lockgate.verification import Package

EVENT = "SageMaker Model Package State Change"


@dataclass(frozen=True)
class Settings:
    state_machine_arn: str
    models: str


def handler(event: dict[str, Any], context: object) -> dict[str, list[str]]:
    settings = shared.settings(Settings)
    registry = Registry(clients.client("sagemaker"))
    models = settings.models.split(",")
    answer: dict[str, list[str]] = {"started": [], "handled": [], "refused": []}
    if event.get("detail-type") == EVENT:
        arns = [str(event.get("detail", {}).get("ModelPackageArn", ""))]
    else:
        arns = [arn for model in models for arn in registry.pending(model)]
    for arn in arns:
        package = registry.describe(arn) if arn else None
        if package is None:
            answer["refused"].append(f"{arn or 'event without ModelPackageArn'}: no such package")
        elif package.group not in [names.package_group(model) for model in models]:
            answer["refused"].append(f"{arn}: group {package.group!r} belongs to none of {', '.join(models)}")
        elif package.approval != "PendingManualApproval" or package.status != "Completed":
            answer["handled"].append(f"{arn}: {package.status}, {package.approval}")
        else:
            outcome = "started" if _start(settings.state_machine_arn, package) else "handled"
            answer[outcome].append(_execution(package))
    shared.log("intake", source=event.get("detail-type"), **answer)
    return answer


def _execution(package: Package) -> str:
    return names.promotion_execution(names.model_of_package_group(package.group), package.version)


def _start(state_machine: str, package: Package) -> bool:
    """False when it was started before: the name of an execution is the lock."""
    model = names.model_of_package_group(package.group)
    event = {"model": model, "version": str(package.version), "package_arn": package.arn}
    try:
        clients.client("stepfunctions").start_execution(
            stateMachineArn=state_machine, name=_execution(package), input=canonical.to_bytes(event).decode()
        )
    except ClientError as error:
        if clients.code(error) != "ExecutionAlreadyExists":
            raise
        return False
    return True
