"""Records how a deployment ended.

Event: {"model", "version", "environment", "outcome": "succeeded" | "failed", "execution" (name of the workflow's
execution), "release" (as the deploy function's status gave it, or null), "url" (or null), "reason" (or null)}.
Answer: {"record": "<model>/<sequence>"}. The same end of the same execution again is the same record; a redriven
execution that ends otherwise adds one.

Environment:
    LEDGER_BUCKET
Calls:
    s3:ListBucket on the ledger bucket; s3:GetObject, s3:PutObject (If-None-Match: *) on <ledger>/*
    kms:Decrypt, kms:GenerateDataKey on its key
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate.approval import reference
from lockgate.errors import RefusedError
from lockgate.ledger import Entry
from lockgate.release import read_release


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    settings = shared.settings(Settings)
    model, version = shared.model_and_version(event)
    environment = shared.environment(str(event.get("environment"))).name
    outcome, release = event.get("outcome"), event.get("release")
    if outcome not in ("succeeded", "failed"):
        raise RefusedError(f"outcome: found {outcome!r}, expected succeeded or failed")
    if outcome == "succeeded" and (live := read_release(release)).version != str(version):
        raise RefusedError(f"release: found version {live.version}, expected {version}")
    body = {"outcome": outcome, "release": release, "url": event.get("url"), "reason": event.get("reason")}
    entry_id = f"deployment:{version}:{environment}:{event['execution']}:{outcome}"
    entry = Entry("deployment", entry_id, version, environment, body)
    record = shared.ledger(settings.ledger_bucket).append(model, entry, shared.timestamp(shared.now()))
    shared.log("deployment", record=reference(record), outcome=outcome, environment=environment)
    return {"record": reference(record)}
