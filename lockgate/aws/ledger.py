"""The ledger in S3: a record is an object that can be written once, and the next free key is the lock.

Two writers want the same key; S3 gives it to one (If-None-Match), the other reads on and takes the next.
"""

from __future__ import annotations

import secrets
import time as clock
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, cast

from botocore.exceptions import ClientError

from lockgate import canonical, names
from lockgate.aws.clients import code
from lockgate.aws.write_once import put_once
from lockgate.errors import BusyError, LedgerError
from lockgate.ledger.chain import Chain, K, ReleaseChain, StackChain, look_at_chain, read_chain
from lockgate.ledger.records import Entry, Record, read_record

ATTEMPTS = 12
LONGEST_NUMBER = 10  # digits of a record's number in its key


class LedgerStore:
    """Chains of records, one a model. Records cannot change, so each is read and verified once a process."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._known: dict[str, tuple[list[tuple[str, str]], Chain[Any]]] = {}

    def models(self) -> tuple[str, ...]:
        """The models that have a chain, sorted; the chain of infrastructure belongs to none."""
        return tuple(chain for chain in self.chains() if chain != names.INFRASTRUCTURE_CHAIN)

    def chains(self) -> tuple[str, ...]:
        """The names of all chains, sorted."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Delimiter="/")
        prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
        return tuple(sorted(prefix.rstrip("/") for prefix in prefixes))

    def chain(self, model: str) -> ReleaseChain:
        """All records of a model, verified. Raises LedgerError when one is missing, changed or out of place.

        Who read a chain before remembers it: a record that was rewritten whole, or cut off at the end, fits the hashes.
        """
        objects = self._objects(model)
        before, chain = self._known.get(model, ([], Chain[Any](model)))
        if objects[: len(before)] != before:
            raise LedgerError(
                f"ledger of {model}: some of the first {len(before)} records, read before, changed or went"
            )
        if len(objects) > len(before):
            chain = read_chain(model, self._read(objects[len(before) :]), chain.records)
        self._known[model] = objects, chain
        return chain

    def stored(self, model: str) -> tuple[datetime, ...]:
        """When S3 got each record of the chain that was read last, in order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{model}/")
        got = [entry["LastModified"] for page in pages for entry in page.get("Contents", ())]
        return tuple(got[: len(self._known[model][0])])

    def infrastructure(self) -> StackChain:
        """The chain about stacks, verified like a model's."""
        return cast(StackChain, self.chain(names.INFRASTRUCTURE_CHAIN))

    def look(self, model: str) -> ReleaseChain:
        """All records of a model for a person who looks: one that is missing or cannot be read hides no other."""
        stored = self._stored(model)
        return look_at_chain(model, [stored.get(place) for place in range(1, max(stored, default=0) + 1)])

    def digests(self, model: str) -> dict[int, str]:
        """SHA-256 of each record that is there, by its number, whatever is in it."""
        return {place: canonical.sha256(data) for place, data in self._stored(model).items()}

    def look_at_infrastructure(self) -> StackChain:
        return cast(StackChain, self.look(names.INFRASTRUCTURE_CHAIN))

    def record(self, model: str, reference: str) -> Record[Any] | None:
        """One record of a model by its reference, without its chain; None where there is none.

        Raises LedgerError when it is not what it is called, and ClientError when it cannot be read.
        """
        number = reference.removeprefix(f"{model}/")
        if number == reference or not number.isascii() or not number.isdigit() or len(number) > LONGEST_NUMBER:
            return None
        try:
            data = self._s3.get_object(Bucket=self._bucket, Key=names.ledger_key(model, int(number)))["Body"].read()
        except ClientError as error:
            if code(error) != "NoSuchKey":
                raise
            return None
        found = read_record(data)
        if found.reference != reference:
            raise LedgerError(f"ledger of {model}: found {found.reference} under the key of {reference}")
        return found

    def append(self, model: str, entry: Entry[K], time: str) -> Record[K]:
        """Add an entry, or return the record that has its id already. `time` is UTC, ISO 8601.

        Raises BusyError when other writers won every attempt, LedgerError when the chain is broken.
        """
        return self.append_decided(model, entry.id, lambda chain: entry, time)

    def append_decided(
        self, model: str, entry_id: str, decide: Callable[[Chain[Any]], Entry[K]], time: str
    ) -> Record[K]:
        """The same for an entry that depends on the chain before it: decided anew whenever another writer was first.

        So what an entry says about the chain, such as what it spends of a budget, is true of the records before it.
        An entry whose proof made a record already is that record: a call that somebody sends again says nothing new.
        """
        for attempt in range(ATTEMPTS):
            chain = self.chain(model)
            present = chain.find(entry_id)
            if present:
                return cast(Record[K], present)  # an id is of one kind
            entry = decide(chain)
            if used := chain.proved_by(getattr(entry.body, "nonce", None)):
                return cast(Record[K], used)
            record = chain.next(entry, time)
            key = names.ledger_key(model, len(chain) + 1)
            if put_once(self._s3, self._bucket, key, record.to_bytes(), ContentType="application/json"):
                return record
            clock.sleep(secrets.randbelow(20 * 2 ** min(attempt, 5)) / 1000)
        raise BusyError(f"ledger of {model}: other writers won {ATTEMPTS} times in a row")

    def _objects(self, model: str) -> list[tuple[str, str]]:
        """Key and ETag of each record, in order. Raises LedgerError when one is missing."""
        objects = self._listed(model)
        for sequence, (key, _) in enumerate(objects, start=1):
            if key != names.ledger_key(model, sequence):
                raise LedgerError(f"ledger of {model}: found {key}, expected {names.ledger_key(model, sequence)}")
        return objects

    def _stored(self, model: str) -> dict[int, bytes]:
        """What is there, by the number that its key says."""
        named = {names.ledger_place(key): (key, etag) for key, etag in self._listed(model)}
        places = sorted(place for place in named if place)
        return dict(zip(places, self._read([named[place] for place in places]), strict=True))

    def _listed(self, model: str) -> list[tuple[str, str]]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{model}/")
        return [(entry["Key"], entry["ETag"]) for page in pages for entry in page.get("Contents", ())]

    def _read(self, objects: list[tuple[str, str]]) -> list[bytes]:
        with ThreadPoolExecutor(max_workers=8) as pool:
            return list(pool.map(self._bytes, objects))

    def _bytes(self, stored: tuple[str, str]) -> bytes:
        key, etag = stored
        return bytes(self._s3.get_object(Bucket=self._bucket, Key=key, IfMatch=etag)["Body"].read())
