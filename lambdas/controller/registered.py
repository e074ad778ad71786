"""Starts the promotion of a registered package: once, whatever is delivered twice, late or out of order.

Event: EventBridge "SageMaker Model Package State Change". Where that event is lost, the schedule finds the package.
Answer: {"started": [names], "handled": [names], "refused": [reasons]}. It logs a refusal and does not raise it, since a
retry would not make an unknown package known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.promotions import start
from lockgate.aws.registry import Registry

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
    arn = str(event.get("detail", {}).get("ModelPackageArn") or "")
    package = registry.describe(arn) if arn else None
    if package is None:
        answer["refused"].append(f"{arn or 'event without ModelPackageArn'}: no such package")
    elif package.group not in [names.package_group(model) for model in models]:
        answer["refused"].append(f"{arn}: group {package.group!r} belongs to none of {', '.join(models)}")
    elif package.approval != "PendingManualApproval" or package.status != "Completed":
        answer["handled"].append(f"{arn}: {package.status}, {package.approval}")
    else:
        model = names.model_of_package_group(package.group)
        name = names.promotion_execution(model, package.version)
        begun = start(
            clients.client("stepfunctions"), settings.state_machine_arn, name, model, package.version, package.arn
        )
        answer["started" if begun else "handled"].append(name)
    shared.log("registered", source=event.get("detail-type"), **answer)
    return answer
