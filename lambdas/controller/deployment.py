"""Records how a deployment ended.

Event: {"action": "record", "model", "version", "environment", "execution" (name of the workflow's execution),
"outcome": "succeeded" | "failed", "release" (as the gate gave it: what was wanted), "deployment"}. The deployment is
the deploy function's last status: {"reason", "release" (what the stack pins, all fields), "url", "place"}. A failure
may have the reason alone.

Answer: {"record": "<model>/<sequence>"}. The body says outcome, release (what is live, or was wanted), url, reason, and
place (the number of this end in the environment's journal, or null).

A success is believed when the environment's own journal has it, with this release at this place; what the journal says
before that place is recorded first. What neither a verdict with its approvals nor a break-glass let in is recorded with
why. A failure has no fact in the journal, and moves nothing.

The same end of the same execution again is the same record. A redriven execution that ends otherwise adds one. After a
deployment to the last environment it notes the new champion, for whoever starts the next evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from lambdas import shared
from lambdas.controller.collection import reasoned, record_all
from lockgate.aws import clients, reader
from lockgate.aws.champions import note_champion
from lockgate.errors import RefusedError
from lockgate.ledger.journal import Ended, Facts
from lockgate.ledger.kinds import Deployment
from lockgate.ledger.records import Entry
from lockgate.release.parameters import JudgedRelease, Release
from lockgate.release.workflow import EndingRecorded, read_message


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    data_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    settings = shared.settings(Settings)
    ended = read_message(EndingRecorded, event)
    model, version, environment = ended.model, ended.number, shared.environment(ended.environment).name
    outcome, wanted, deployment = ended.outcome, ended.release, ended.deployment
    if wanted.version != str(version):
        raise RefusedError(f"release: found version {wanted.version!r}, expected {version}")
    body = Deployment(
        outcome=outcome,
        release=_live(wanted, deployment.release) if outcome == "succeeded" else wanted,
        url=deployment.url,
        reason=deployment.reason,
        place=deployment.place,
    )
    entry = Entry(Deployment.id(version, environment, ended.execution, outcome), version, environment, body)
    store = shared.ledger(settings.ledger_bucket)
    if outcome == "succeeded":
        facts = reader.look_at(clients.client("sts"), shared.environment(environment)).journal(model)
        _refuse_unless_remembered(facts, body)
        record_all(
            store, store.chain(model), [fact for fact in facts if fact.sequence < (body.place or 0)], environment
        )
    record = store.append_decided(model, entry.id, partial(reasoned, entry), shared.timestamp(shared.now()))
    if outcome == "succeeded" and environment == shared.tools().promotion[-1]:
        note_champion(clients.client("s3"), settings.data_bucket, model, store.chain(model), environment)
    shared.log("deployment", record=record.reference, outcome=outcome, environment=environment)
    return {"record": record.reference}


def _refuse_unless_remembered(facts: Facts, body: Deployment) -> None:
    """Raises RefusedError for an end that the environment knows nothing of: whoever calls us may say anything."""
    fact = next((each for each in facts if each.sequence == body.place), None)
    said = fact.body if fact else None
    if not isinstance(said, Ended) or (said.outcome, said.release) != (body.outcome, body.release):
        raise RefusedError(
            f"place {body.place}: found {fact.kind if fact else 'nothing'} in the environment's journal, expected the "
            f"end of the deployment of version {body.release.version}"
        )


def _live(wanted: JudgedRelease, pinned: Release | None) -> Release:
    """What the stack pins, whole; refused when it is not what was wanted."""
    if pinned is None or pinned.judged != wanted:
        raise RefusedError(f"release: found {pinned}, expected {wanted}")
    return pinned
