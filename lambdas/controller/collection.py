"""Copies into the ledger what happened in environments while nobody could record it: rollbacks, restores, deployments.

Event of a schedule: {"action": "collect"}. Answer: {"recorded": ["<model>/<sequence>", …]}.

The same fact again is the same record. A deployment that neither a verdict with its approvals nor a break-glass let in
is recorded with why; `lockgate status` shows it, and the alarm of stuck versions calls. It notes as the champion what
the last environment serves by then. It leaves an environment that cannot be asked for the next time and does the
others. Then it raises RuntimeError, so that the function's alarm sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lambdas import shared
from lockgate.aws import clients, reader
from lockgate.aws.champions import note_champion
from lockgate.aws.failures import FAILURES
from lockgate.aws.ledger import LedgerStore
from lockgate.errors import LockgateError
from lockgate.ledger import kinds
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.journal import Facts, to_ledger
from lockgate.ledger.reasons import why_unreasoned
from lockgate.ledger.records import Entry, Record


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    data_bucket: str
    models: str


def handler(event: dict[str, Any], context: object) -> dict[str, list[str]]:
    settings = shared.settings(Settings)
    store = shared.ledger(settings.ledger_bucket)
    recorded: list[str] = []
    failed: dict[str, str] = {}
    for environment in shared.tools().promotion:
        try:
            look = reader.look_at(clients.client("sts"), shared.environment(environment))
        except FAILURES as error:
            failed[environment] = str(error)
            continue
        for model in settings.models.split(","):
            try:
                recorded += _collect(settings, store, look, model, environment)
            except (LockgateError, *FAILURES) as error:  # one journal, or one chain, keeps nobody else's from it
                failed[f"{environment} {model}"] = str(error)
    shared.log("collect", recorded=recorded, failed=failed)
    if failed:
        raise RuntimeError(f"could not be asked: {failed}")
    return {"recorded": recorded}


def _collect(settings: Settings, store: LedgerStore, look: reader.Look, model: str, environment: str) -> list[str]:
    """Record what an environment remembers of a model and the ledger does not; the records, by reference."""
    added = record_all(store, store.chain(model), look.journal(model), environment)
    if environment == shared.tools().promotion[-1]:
        note_champion(clients.client("s3"), settings.data_bucket, model, store.chain(model), environment)
    return [record.reference for record in added]


def record_all(
    store: LedgerStore, known: ReleaseChain, facts: Facts, environment: str
) -> list[Record[kinds.ReleaseBody]]:
    """Record what an environment remembers and the ledger does not know, in order; what nothing let in says so."""
    return [
        store.append_decided(known.model, entry.id, partial(reasoned, entry), shared.timestamp(shared.now()))
        for entry in to_ledger(facts, environment)
        if not known.find(entry.id)
    ]


def reasoned(entry: Entry[Any], chain: ReleaseChain) -> Entry[Any]:
    """The entry; of a deployment that succeeded also why nothing in the chain let it in, where nothing did."""
    body = entry.body
    if not isinstance(body, kinds.Deployment) or body.outcome != "succeeded":
        return entry
    why = why_unreasoned(chain, body.release, entry.environment)
    return replace(entry, body=replace(body, without=why or None))
