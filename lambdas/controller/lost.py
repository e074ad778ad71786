"""Finds versions that were lost on their way and resumes each once; says how many stay stuck.

Event of a schedule: {"action": "resume"}.
Answer: {"resumed": [executions started], "stuck": ["<model> <version>: <what>"]}. A chain that
cannot be read is stuck too.

What serves though nothing let it in (`without` of its deployment) counts among them until something else serves there.
What stays stuck is counted in the metric Lockgate/Stuck. Its alarm calls a person: `lockgate promote` tries again.
Versions that were registered more than 30 days ago are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lambdas import shared
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.metrics import put_count
from lockgate.aws.promotions import attempts, start
from lockgate.aws.registry import Registry
from lockgate.errors import LedgerError
from lockgate.ledger.chain import ReleaseChain
from lockgate.release.reconcile import losses

WINDOW = timedelta(days=30)


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    state_machine_arn: str
    models: str


def handler(event: dict[str, Any], context: object) -> dict[str, list[str]]:
    settings, now = shared.settings(Settings), shared.now()
    resumed: list[str] = []
    stuck: list[str] = []
    for model in settings.models.split(","):
        try:
            stuck += _without(shared.ledger(settings.ledger_bucket).chain(model))
            _reconcile(settings, model, now, resumed, stuck)
        except LedgerError as error:  # nobody decides on a broken chain, and the others' versions go on
            stuck.append(f"{model}: {error}")
    put_count(clients.client("cloudwatch"), names.STUCK, len(stuck))
    shared.log("lost", resumed=resumed, stuck=stuck)
    return {"resumed": resumed, "stuck": stuck}


def _without(chain: ReleaseChain) -> list[str]:
    """What serves in an environment though nothing in the ledger let it in."""
    served = [chain.live(environment) for environment in shared.tools().promotion]
    return [
        f"{chain.model} {each.entry.version}: serves in {each.entry.environment}: {each.entry.body.without}"
        for each in served
        if each and each.entry.body.without
    ]


def _reconcile(settings: Settings, model: str, now: datetime, resumed: list[str], stuck: list[str]) -> None:
    stepfunctions = clients.client("stepfunctions")
    # In this order: what starts or is decided while we read must not look lost.
    registered = Registry(clients.client("sagemaker")).registered(model, since=now - WINDOW)
    if not registered:
        return
    executions = attempts(stepfunctions, settings.state_machine_arn, since=now - WINDOW)
    chain = shared.ledger(settings.ledger_bucket).chain(model)
    for loss in losses(model, registered, chain, executions, shared.tools().promotion, shared.timestamp(now)):
        if loss.execution is None:
            stuck.append(f"{model} {loss.version}: {loss.what}")
        elif start(stepfunctions, settings.state_machine_arn, loss.execution, model, loss.version, loss.arn):
            shared.log("resumed", model=model, version=loss.version, lost=loss.what, execution=loss.execution)
            resumed.append(loss.execution)
