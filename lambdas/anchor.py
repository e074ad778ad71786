"""Copies the head of every chain into a bucket of another account, as an anchor against truncation.

Event: S3's "Object Created" of a ledger record, or a schedule's. It does every model either way, so that a lost event
delays an anchor and no more. Answer: {"heads": {model: sequence}}.

A chain that is broken, or that has not grown from the head that was kept last, raises LedgerError once the heads of all
others are kept. It keeps nothing of that one, and the function's alarm says so.

Environment:
    LEDGER_BUCKET, ANCHOR_BUCKET
Calls:
    s3:ListBucket on both buckets; s3:GetObject on <ledger>/*
    s3:GetObject, s3:PutObject (If-None-Match: *) on <anchor>/*
    kms:Decrypt on the keys of both (of the anchor: what heads were encrypted with before)
    kms:Decrypt, kms:GenerateDataKey   on the key of the queue of dead letters (Lambda sends there with the role)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate.aws import clients
from lockgate.aws.anchor import Anchor
from lockgate.errors import LedgerError
from lockgate.ledger.chain import refuse_unless_extends


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    anchor_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, dict[str, int]]:
    settings = shared.settings(Settings)
    store, anchor = shared.ledger(settings.ledger_bucket), Anchor(clients.client("s3"), settings.anchor_bucket)
    heads: dict[str, int] = {}
    broken: list[str] = []
    for model in sorted({*store.chains(), *anchor.models()}):
        try:
            kept, chain = anchor.last(model), store.chain(model)
            refuse_unless_extends(model, chain, kept)
            head = chain.head
            if head != kept:
                anchor.keep(model, head)
            heads[model] = head.sequence
        except LedgerError as error:
            broken.append(str(error))
    shared.log("anchor", heads=heads, broken=broken)
    if broken:
        raise LedgerError("; ".join(broken))
    return {"heads": heads}
