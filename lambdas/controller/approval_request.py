"""Records that a release waits for persons; the workflow's task token is in the record, so that an answer finds it.

Event: {"action": "request-approval", "model", "version", "environment", "verdict_id", "execution", "task_token"},
invoked with waitForTaskToken. Answer: {"request": "<model>/<sequence>"}, which the workflow ignores.

A workflow that asks again has another token and so gets another record. The newest request is the one that counts. The
same token again is the same record.

Nobody is asked in vain: what the environment would refuse after the approval raises RefusedError here. That is a
release that was rolled back from, also where only the environment remembers it, or one that a newer one superseded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lambdas import shared
from lockgate import canonical
from lockgate.aws import clients, reader
from lockgate.aws.failures import FAILURES
from lockgate.configuration.environment import Environment
from lockgate.errors import RefusedError
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.journal import Facts, refuse_if_rolled_back
from lockgate.ledger.kinds import ApprovalRequest, Verdict
from lockgate.ledger.records import Entry
from lockgate.release.parameters import refuse_if_superseded
from lockgate.release.promotable import as_collected
from lockgate.release.workflow import ApprovalAsked, read_message


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    approval_seconds: int


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    settings = shared.settings(Settings)
    asked = read_message(ApprovalAsked, event)
    model, version, environment = asked.model, asked.number, shared.environment(asked.environment)
    verdict_id, token = asked.verdict_id, asked.task_token
    store = shared.ledger(settings.ledger_bucket)
    verdicts = store.chain(model).of(Verdict, version, environment.name)
    verdict = next((record for record in verdicts if record.reference == verdict_id), None)
    if verdict is None:
        raise RefusedError(f"{verdict_id}: expected the verdict on {model} {version} for {environment.name}")
    if verdict.entry.body.outcome != "passed":
        raise RefusedError(f"{verdict_id}: found {verdict.entry.body.outcome}, expected passed: nothing to approve")
    now = shared.now()
    _refuse_in_vain(store.chain(model), environment, version, verdict_id, shared.timestamp(now))
    body = ApprovalRequest(
        task_token=token,
        execution=asked.execution,
        verdict_id=verdict_id,
        approvals=environment.approvals,
        expires=shared.timestamp(now + timedelta(seconds=settings.approval_seconds)),
    )
    entry_id = ApprovalRequest.id(version, environment.name, canonical.sha256(token.encode()))
    entry = Entry(entry_id, version, environment.name, body)
    record = store.append(model, entry, shared.timestamp(now))
    shared.log("approval requested", request=record.reference, verdict=verdict_id, expires=body.expires)
    return {"request": record.reference}


def _refuse_in_vain(chain: ReleaseChain, environment: Environment, version: int, verdict_id: str, now: str) -> None:
    """Raises RefusedError where the environment would refuse the release that persons are to approve.

    One that cannot be asked now keeps nobody from being asked: it is asked again when the deployment begins.
    """
    facts: Facts = ()
    try:
        facts = reader.look_at(clients.client("sts"), environment).journal(chain.model)
    except FAILURES as error:
        shared.log("journal not read", environment=environment.name, why=str(error))
    refuse_if_rolled_back(facts, verdict_id, str(version))
    served = as_collected(chain, facts, environment.name, now).live(environment.name)
    refuse_if_superseded(served.entry.body.release if served else None, str(version))
