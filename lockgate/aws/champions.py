"""The note of what the last environment serves, for whoever starts the next evaluation."""

from __future__ import annotations

from typing import Any

from lockgate import names
from lockgate.aws.write_once import put_once
from lockgate.gate.champion import champion_of
from lockgate.ledger.break_glass import judged
from lockgate.ledger.chain import ReleaseChain


def note_champion(s3: Any, bucket: str, model: str, chain: ReleaseChain, environment: str) -> None:
    """From the chain, not from an event: one that comes late must not bring back an earlier champion."""
    deployment = chain.live(environment)
    champion = champion_of(deployment, judged(chain, deployment)) if deployment else None
    if deployment and champion:
        put_once(s3, bucket, names.champion_key(model, deployment.sequence), champion.to_bytes())
