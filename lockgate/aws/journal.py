"""An environment's journal in its releases bucket, where an object can be written only once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code
from lockgate.errors import BusyError, LedgerError
from lockgate.journal import Fact, Kind, find, read_fact

ATTEMPTS = 5


class Journal:
    """The entries of one model in one environment."""

    def __init__(self, s3: Any, bucket: str, model: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._model = model

    def entries(self) -> tuple[Fact, ...]:
        """All of them, in order. Raises LedgerError when one is missing."""
        prefix = names.journal_key(self._model, 0).rpartition("/")[0] + "/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        expected = [names.journal_key(self._model, sequence + 1) for sequence in range(len(keys))]
        if keys != expected:
            raise LedgerError(f"journal of {self._model}: found {set(keys) ^ set(expected)} out of place")
        with ThreadPoolExecutor(max_workers=8) as pool:
            return tuple(pool.map(self._read, keys))

    def append(self, kind: Kind, token: str, body: Mapping[str, Any], time: str) -> Fact:
        """Write a fact, or return the one of this kind and token that is there. Raises BusyError."""
        for _ in range(ATTEMPTS):
            entries = self.entries()
            present = find(entries, kind, token)
            if present:
                return present
            entry = Fact(len(entries) + 1, time, kind, token, body)
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=names.journal_key(self._model, entry.sequence),
                    Body=entry.to_bytes(),
                    IfNoneMatch="*",
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",
                )
            except ClientError as error:
                if code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                    raise
            else:
                return entry
        raise BusyError(f"journal of {self._model}: other writers won {ATTEMPTS} times in a row")

    def _read(self, key: str) -> Fact:
        return read_fact(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
