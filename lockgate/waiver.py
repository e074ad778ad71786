"""Waivers: a person lets one rule go for one version, for a reason and until a time; verdicts that used one say so.

A waiver changes a verdict that failed or could not decide. It never changes an error: evidence that is missing or was
altered cannot be excused.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.ledger import Record


def waived(chain: Sequence[Record], version: int, environment: str, now: str) -> dict[str, str]:
    """Rule -> person and reason, of the waivers that hold at `now` (UTC, ISO 8601, milliseconds)."""
    return {
        record.entry.body["rule"]: _said(record)
        for record in chain
        if record.entry.kind == "waiver"
        and (record.entry.version, record.entry.environment) == (version, environment)
        and now < record.entry.body["expires"]
    }


def _said(record: Record) -> str:
    body = record.entry.body
    return f"{body['person']} ({record.model}/{record.sequence}, until {body['expires'][:10]}: {body['reason']})"
