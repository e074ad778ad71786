"""Copies into the ledger what happened in environments while nobody could record it: rollbacks, restores, deployments.

Event of a schedule: {"action": "collect"}. Answer: {"recorded": ["<model>/<sequence>", …]}.

The same fact again is the same record. It notes as the champion what the last environment serves by then. It leaves an
environment that cannot be asked, a journal or a chain that cannot be read, for the next time and does the others. Then
it raises RuntimeError, so that the function's alarm sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate.aws import clients, reader
from lockgate.aws.champions import note_champion
from lockgate.aws.failures import FAILURES
from lockgate.aws.ledger import LedgerStore
from lockgate.errors import LockgateError
from lockgate.ledger.journal import to_ledger


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
    known, recorded = store.chain(model), []
    for entry in to_ledger(look.journal(model), environment):
        if not known.find(entry.id):
            recorded.append(store.append(model, entry, shared.timestamp(shared.now())).reference)
    if environment == shared.tools().promotion[-1]:
        note_champion(clients.client("s3"), settings.data_bucket, model, store.chain(model), environment)
    return recorded
