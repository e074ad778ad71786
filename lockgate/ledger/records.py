"""The ledger's records: numbered without gaps, each sealed with the digest of the one before. One chain a model.

A record is stored as canonical JSON; its digest is the SHA-256 of those bytes. Where it is stored is the business of
lockgate.aws.ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lockgate import canonical
from lockgate.errors import EvidenceError, LedgerError

SCHEMA = "lockgate.ledger/1"
FIRST = "0" * 64

Kind = Literal[
    "verdict",
    "approval-request",
    "approval",
    "rejection",
    "deployment",
    "waiver",
    "holdout",
    "rollback",
    "restore",
    "break-glass",
    "acknowledgement",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Entry:
    """What somebody wants recorded. `id` names the fact: the same fact again is the same record, not a second one."""

    kind: Kind
    id: str
    version: int
    environment: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """An entry in its place in a chain; `time` is UTC, ISO 8601; `previous` the digest of the record before."""

    model: str
    sequence: int
    previous: str
    time: str
    entry: Entry

    def to_bytes(self) -> bytes:
        return canonical.to_bytes(
            {
                "schema": SCHEMA,
                "model": self.model,
                "sequence": self.sequence,
                "previous": self.previous,
                "time": self.time,
                "kind": self.entry.kind,
                "id": self.entry.id,
                "version": self.entry.version,
                "environment": self.entry.environment,
                "body": dict(self.entry.body),
            }
        )

    @property
    def sha256(self) -> str:
        return canonical.sha256(self.to_bytes())


def next_record(model: str, chain: Sequence[Record], entry: Entry, time: str) -> Record:
    """The record that would extend `chain` by `entry`; sequences start at 1."""
    return Record(model, len(chain) + 1, chain[-1].sha256 if chain else FIRST, time, entry)


def read_record(data: bytes) -> Record:
    """Raises LedgerError when bytes are not a record."""
    try:
        document = canonical.from_bytes(data, "ledger record")
    except EvidenceError as error:
        raise LedgerError(str(error)) from error
    expected: dict[str, type] = {
        "model": str,
        "sequence": int,
        "previous": str,
        "time": str,
        "id": str,
        "version": int,
        "environment": str,
        "body": dict,
    }
    for key, kind in expected.items():
        if type(document.get(key)) is not kind:
            raise LedgerError(f"ledger record: {key}: found {document.get(key)!r}, expected {kind.__name__}")
    if document.get("schema") != SCHEMA or document.get("kind") not in KINDS:
        found = (document.get("schema"), document.get("kind"))
        raise LedgerError(f"ledger record: found schema and kind {found!r}, expected {SCHEMA!r} and one of {KINDS}")
    return Record(
        model=document["model"],
        sequence=document["sequence"],
        previous=document["previous"],
        time=document["time"],
        entry=Entry(document["kind"], document["id"], document["version"], document["environment"], document["body"]),
    )


def read_chain(model: str, stored: Sequence[bytes], known: Sequence[Record] = ()) -> tuple[Record, ...]:
    """The records of one model in order; `known` are those before `stored`, which were read so.

    Raises LedgerError at the first that is not where it belongs.
    """
    chain = list(known)
    before = chain[-1].sha256 if chain else FIRST
    for position, data in enumerate(stored, start=len(chain) + 1):
        record = read_record(data)
        if record.model != model or record.sequence != position:
            raise LedgerError(
                f"ledger of {model}: record {position}: found {record.model} {record.sequence}: dropped or reordered"
            )
        if record.previous != before:
            raise LedgerError(
                f"ledger of {model}: record {position}: previous is {record.previous[:12]}, "
                f"the record before has {before[:12]}: one of them was changed"
            )
        if record.to_bytes() != data:
            raise LedgerError(f"ledger of {model}: record {position}: not in canonical form: it was changed")
        chain.append(record)
        before = canonical.sha256(data)
    return tuple(chain)


@dataclass(frozen=True)
class Head:
    """The last record of a chain: its number (0 for an empty chain) and its SHA-256."""

    sequence: int
    sha256: str


def head_of(chain: Sequence[Record]) -> Head:
    return Head(len(chain), chain[-1].sha256 if chain else FIRST)


def refuse_unless_extends(model: str, chain: Sequence[Record], kept: Head) -> None:
    """Raise LedgerError unless a chain has grown from a head that was kept before: what is cut off leaves no gap."""
    found = head_of(chain[: kept.sequence])
    if found != kept:
        raise LedgerError(
            f"ledger of {model}: found {len(chain)} records, of which number {found.sequence} has {found.sha256[:12]}; "
            f"expected number {kept.sequence} with {kept.sha256[:12]}: records were cut off or written anew"
        )


def find(chain: Sequence[Record], entry_id: str) -> Record | None:
    return next((record for record in chain if record.entry.id == entry_id), None)


def live(chain: Sequence[Record], environment: str) -> Record | None:
    """The last deployment to an environment that succeeded: what is live there, as far as the ledger knows.

    Last by its place in the environment's journal, since a rollback may be recorded here after a later promotion.
    """
    done = [
        record
        for record in chain
        if record.entry.kind == "deployment"
        and record.entry.environment == environment
        and record.entry.body.get("outcome") == "succeeded"
    ]
    return max(done, key=lambda record: (record.entry.body.get("place") or 0, record.sequence), default=None)
