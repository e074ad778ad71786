"""An environment's journal in its releases bucket, where an object can be written only once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lockgate import names
from lockgate.aws.write_once import put_once
from lockgate.errors import BusyError, LedgerError
from lockgate.ledger.journal import Fact, FactBody, K, find, read_fact

ATTEMPTS = 5
# Objects are written once, so each is read once a process: (bucket, key, ETag) -> fact.
_read: dict[tuple[str, str, str], Fact[FactBody]] = {}


class Journal:
    """The entries of one model in one environment."""

    def __init__(self, s3: Any, bucket: str, model: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._model = model

    def entries(self) -> tuple[Fact[FactBody], ...]:
        """All of them, in order. Raises LedgerError when one is missing."""
        prefix = names.journal_key(self._model, 0).rpartition("/")[0] + "/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        objects = {
            entry["Key"]: (self._bucket, entry["Key"], entry["ETag"])
            for page in pages
            for entry in page.get("Contents", ())
        }
        expected = [names.journal_key(self._model, sequence + 1) for sequence in range(len(objects))]
        if list(objects) != expected:
            raise LedgerError(f"journal of {self._model}: found {set(objects) ^ set(expected)} out of place")
        unread = [stored for stored in objects.values() if stored not in _read]
        if unread:
            with ThreadPoolExecutor(max_workers=8) as pool:
                _read.update(zip(unread, pool.map(self._fact, unread), strict=True))
        return tuple(_read[stored] for stored in objects.values())

    def append(self, token: str, body: K, time: str) -> Fact[K]:
        """Write a fact, or return the one of this kind and token that is there. Raises BusyError."""
        for _ in range(ATTEMPTS):
            entries = self.entries()
            present = find(entries, type(body), token)
            if present:
                return present
            entry = Fact(len(entries) + 1, time, token, body)
            key = names.journal_key(self._model, entry.sequence)
            if put_once(self._s3, self._bucket, key, entry.to_bytes(), ContentType="application/json"):
                return entry
        raise BusyError(f"journal of {self._model}: other writers won {ATTEMPTS} times in a row")

    def _fact(self, stored: tuple[str, str, str]) -> Fact[FactBody]:
        bucket, key, etag = stored
        return read_fact(self._s3.get_object(Bucket=bucket, Key=key, IfMatch=etag)["Body"].read())
