"""Records how a deployment ended.

Event: {"action": "record", "model", "version", "environment", "execution" (name of the workflow's execution),
"outcome": "succeeded" | "failed", "release" (as the gate gave it: what was wanted), "deployment"}. The deployment is
the deploy function's last status: {"reason", "release" (what the stack pins, all fields), "url", "place"}. A failure
may have the reason alone.

Answer: {"record": "<model>/<sequence>"}. The body says outcome, release (what is live, or was wanted), url, reason, and
place (the number of this end in the environment's journal, or null).

The same end of the same execution again is the same record. A redriven execution that ends otherwise adds one. After a
deployment to the last environment it notes the new champion, for whoever starts the next evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate.aws import clients
from lockgate.aws.champions import note_champion
from lockgate.errors import RefusedError
from lockgate.ledger.kinds import Deployment
from lockgate.ledger.records import Entry
from lockgate.release.parameters import JudgedRelease, Release, read_judged_release, read_release


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    data_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    settings = shared.settings(Settings)
    model, version = shared.model_and_version(event)
    environment = shared.environment(str(event.get("environment"))).name
    outcome, wanted, deployment = event.get("outcome"), read_judged_release(event["release"]), event["deployment"]
    if outcome not in ("succeeded", "failed"):
        raise RefusedError(f"outcome: found {outcome!r}, expected succeeded or failed")
    if wanted.version != str(version):
        raise RefusedError(f"release: found version {wanted.version!r}, expected {version}")
    body = Deployment(
        outcome=outcome,
        release=_live(wanted, deployment.get("release")) if outcome == "succeeded" else wanted,
        url=deployment.get("url"),
        reason=deployment["reason"],
        place=deployment.get("place"),
    )
    entry = Entry(Deployment.id(version, environment, event["execution"], outcome), version, environment, body)
    store = shared.ledger(settings.ledger_bucket)
    record = store.append(model, entry, shared.timestamp(shared.now()))
    if outcome == "succeeded" and environment == shared.tools().promotion[-1]:
        note_champion(clients.client("s3"), settings.data_bucket, model, store.chain(model), environment)
    shared.log("deployment", record=record.reference, outcome=outcome, environment=environment)
    return {"record": record.reference}


def _live(wanted: JudgedRelease, pinned: object) -> Release:
    """What the stack pins, whole; refused when it is not what was wanted."""
    live = read_release(pinned)
    if live.judged != wanted:
        raise RefusedError(f"release: found {live}, expected {wanted}")
    return live
