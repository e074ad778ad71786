"""The ledger's records: numbered without gaps, each sealed with the digest of the one before.

A record is stored as canonical JSON; its digest is the SHA-256 of those bytes. Where it is stored is the business of
lockgate.aws.ledger, and what its body says that of lockgate.ledger.kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lockgate import canonical, names, schema
from lockgate.errors import EvidenceError, LedgerError
from lockgate.ledger.kinds import RELEASE_KINDS, STACK_KINDS, Body, Kind

SCHEMA = "lockgate.ledger/1"
FIRST = "0" * 64
ADVICE = "it was changed, or a newer version of Lockgate wrote it, which then has to read it"

B = TypeVar("B", bound=Body, covariant=True)


@dataclass(frozen=True)
class Entry(Generic[B]):
    """What somebody wants recorded. `id` names the fact: the same fact again is the same record, not a second one."""

    id: str
    version: int
    environment: str
    body: B

    @property
    def kind(self) -> Kind:
        return self.body.KIND


@dataclass(frozen=True)
class Record(Generic[B]):
    """An entry in its place in a chain; `time` is UTC, ISO 8601; `previous` the digest of the record before."""

    model: str
    sequence: int
    previous: str
    time: str
    entry: Entry[B]

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
                "body": schema.write(self.entry.body),
            }
        )

    @property
    def sha256(self) -> str:
        return canonical.sha256(self.to_bytes())

    @property
    def reference(self) -> str:
        """How another record names this one."""
        return f"{self.model}/{self.sequence}"


@dataclass(frozen=True)
class _StoredRecord:
    """A record as it is stored, before its body is read as its kind's."""

    schema: str
    model: str
    sequence: int
    previous: str
    time: str
    kind: str
    id: str
    version: int
    environment: str
    body: Any


def read_record(data: bytes) -> Record[Any]:
    """A record with a body of its kind, ReleaseBody or StackBody; its `to_bytes` are these bytes.

    Raises LedgerError when bytes are not a record in canonical form.
    """
    try:
        stored = canonical.from_bytes(data, "ledger record")
    except EvidenceError as error:
        raise LedgerError(str(error)) from error
    if canonical.to_bytes(stored) != data:
        raise LedgerError("ledger record: not in canonical form: it was changed")
    if stored.get("schema") != SCHEMA:
        raise LedgerError(f"ledger record: found schema {stored.get('schema')!r}, expected {SCHEMA!r}: {ADVICE}")
    document = schema.read(_StoredRecord, stored, "ledger record", LedgerError, ADVICE)
    kinds = STACK_KINDS if document.model == names.INFRASTRUCTURE_CHAIN else RELEASE_KINDS
    if document.kind not in kinds:
        raise LedgerError(f"ledger record: found kind {document.kind!r}, expected one of {', '.join(kinds)}: {ADVICE}")
    where = f"record {document.model}/{document.sequence}, {document.kind}"
    body: Body = schema.read(kinds[document.kind], document.body, where, LedgerError, ADVICE)
    entry = Entry(document.id, document.version, document.environment, body)
    return Record(document.model, document.sequence, document.previous, document.time, entry)
