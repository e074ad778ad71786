"""A model's records in order, and what they can be asked. One chain a model, and one for infrastructure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from lockgate import canonical
from lockgate.errors import LedgerError
from lockgate.ledger.kinds import Body, Deployment, ReleaseBody, StackBody
from lockgate.ledger.records import FIRST, B, Entry, Record, read_record

K = TypeVar("K", bound=Body)


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be read, or does not fit the one before it, and why."""

    model: str
    sequence: int
    why: str


@dataclass(frozen=True)
class Chain(Generic[B]):
    """The records of one chain, oldest first. `bad`: what `look_at_chain` left out; a chain to decide on has none."""

    model: str
    records: tuple[Record[B], ...] = ()
    bad: tuple[BadRecord, ...] = ()

    def __iter__(self) -> Iterator[Record[B]]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def of(self, kind: type[K], version: int | None = None, environment: str | None = None) -> tuple[Record[K], ...]:
        """The records of a kind, oldest first; only those about a version, or an environment, where one is named."""
        return tuple(
            record  # type: ignore[misc]  # mypy does not narrow a record by its body
            for record in self.records
            if isinstance(record.entry.body, kind)
            and version in (None, record.entry.version)
            and environment in (None, record.entry.environment)
        )

    def newest(self, kind: type[K], version: int | None = None, environment: str | None = None) -> Record[K] | None:
        """The last of them, or None."""
        found = self.of(kind, version, environment)
        return found[-1] if found else None

    def find(self, entry_id: str) -> Record[B] | None:
        """The record of the fact with this id."""
        return next((record for record in self.records if record.entry.id == entry_id), None)

    def proved_by(self, nonce: str | None) -> Record[B] | None:
        """The record that a proof made: it makes no second one."""
        if nonce is None:
            return None
        return next((record for record in self.records if getattr(record.entry.body, "nonce", None) == nonce), None)

    def referred(self, reference: str) -> Record[B] | None:
        """The record that another one names."""
        return next((record for record in self.records if record.reference == reference), None)

    def about(self, version: int) -> tuple[Record[B], ...]:
        """Everything about a version, oldest first."""
        return tuple(record for record in self.records if record.entry.version == version)

    def before(self, record: Record[Any]) -> Chain[B]:
        """The chain as it was when a record was added to it."""
        return replace(self, records=tuple(each for each in self.records if each.sequence < record.sequence))

    def after(self, record: Record[Any]) -> Chain[B]:
        """What was added behind a record."""
        return replace(self, records=tuple(each for each in self.records if each.sequence > record.sequence))

    def live(self, environment: str) -> Record[Deployment] | None:
        """The last deployment to an environment that succeeded: what is live there, as far as the ledger knows.

        Last by its place in the environment's journal, since a rollback may be recorded here after a later promotion.
        """
        done = [
            record
            for record in self.of(Deployment, environment=environment)
            if record.entry.body.outcome == "succeeded"
        ]
        return max(done, key=lambda record: (record.entry.body.place or 0, record.sequence), default=None)

    def next(self, entry: Entry[K], time: str) -> Record[K]:
        """The record that would extend the chain by an entry; sequences start at 1."""
        return Record(self.model, len(self.records) + 1, self.head.sha256, time, entry)

    def extended(self, entry: Entry[Any], time: str) -> Chain[B]:
        return replace(self, records=(*self.records, self.next(entry, time)))

    @property
    def head(self) -> Head:
        return Head(len(self.records), self.records[-1].sha256 if self.records else FIRST)


ReleaseChain: TypeAlias = Chain[ReleaseBody]
StackChain: TypeAlias = Chain[StackBody]


@dataclass(frozen=True)
class Head:
    """The last record of a chain: its number (0 for an empty chain) and its SHA-256."""

    sequence: int
    sha256: str


def read_chain(model: str, stored: Sequence[bytes], known: Sequence[Record[Any]] = ()) -> Chain[Any]:
    """The records of one model in order; `known` are those before `stored`, which were read so.

    Raises LedgerError at the first that is not where it belongs.
    """
    records = list(known)
    before = records[-1].sha256 if records else FIRST
    for position, data in enumerate(stored, start=len(records) + 1):
        records.append(_placed(model, position, before, data))
        before = canonical.sha256(data)
    return Chain(model, tuple(records))


def look_at_chain(model: str, stored: Sequence[bytes | None]) -> Chain[Any]:
    """The same for a person who looks: what is missing, cannot be read, or does not fit, is named and left out.

    stored: None in the place of a record that is missing.
    """
    records: list[Record[Any]] = []
    bad: list[BadRecord] = []
    before: str | None = FIRST
    for position, data in enumerate(stored, start=1):
        try:
            if data is None:
                raise LedgerError(f"ledger of {model}: record {position}: found none, expected it: it was dropped")
            records.append(_placed(model, position, before, data))
        except LedgerError as error:
            bad.append(BadRecord(model, position, str(error)))
        before = canonical.sha256(data) if data is not None else None
    return Chain(model, tuple(records), tuple(bad))


def _placed(model: str, position: int, before: str | None, data: bytes) -> Record[Any]:
    """The record, if it belongs there. before: digest of the one before; None where that is missing."""
    try:
        record = read_record(data)
    except LedgerError as error:
        raise LedgerError(f"ledger of {model}: record {position}: {error}") from error
    if record.model != model or record.sequence != position:
        raise LedgerError(
            f"ledger of {model}: record {position}: found {record.model} {record.sequence}: dropped or reordered"
        )
    if before is not None and record.previous != before:
        raise LedgerError(
            f"ledger of {model}: record {position}: previous is {record.previous[:12]}, "
            f"the record before has {before[:12]}: one of them was changed"
        )
    return record


def refuse_unless_extends(model: str, chain: Chain[Any], kept: Head) -> None:
    """Raise LedgerError unless a chain has grown from a head that was kept before: what is cut off leaves no gap."""
    found = replace(chain, records=chain.records[: kept.sequence]).head
    if found != kept:
        raise LedgerError(
            f"ledger of {model}: found {len(chain)} records, of which number {found.sequence} has {found.sha256[:12]}; "
            f"expected number {kept.sequence} with {kept.sha256[:12]}: records were cut off or written anew"
        )
