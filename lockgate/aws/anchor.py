"""Heads of the ledger's chains in a bucket of another account: who rewrites the ledger cannot rewrite these."""

from __future__ import annotations

from typing import Any

from lockgate import canonical, names
from lockgate.aws.write_once import put_once
from lockgate.errors import EvidenceError, LedgerError
from lockgate.ledger.chain import Head
from lockgate.ledger.records import FIRST

SCHEMA = "lockgate.anchor/1"


class Anchor:
    """One object for each head that was kept, as `<model>/<sequence>`; each can be written once."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def keep(self, model: str, head: Head) -> None:
        """Write a head where it is not kept yet. Raises LedgerError when another is kept under its number."""
        data = canonical.to_bytes({"schema": SCHEMA, "model": model, **vars(head)})
        key = names.ledger_key(model, head.sequence)
        if put_once(self._s3, self._bucket, key, data):
            return
        kept = self._read(key)
        if kept != head:
            raise LedgerError(
                f"ledger of {model}: record {head.sequence} has {head.sha256[:12]}, the anchor kept "
                f"{kept.sha256[:12]}: records were written anew"
            )

    def models(self) -> tuple[str, ...]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Delimiter="/")
        return tuple(entry["Prefix"].rstrip("/") for page in pages for entry in page.get("CommonPrefixes", ()))

    def last(self, model: str) -> Head:
        """The highest head that was kept; number 0 when none was."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{model}/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return self._read(max(keys)) if keys else Head(0, FIRST)

    def heads(self, model: str) -> list[Head]:
        """All heads that were kept, in order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{model}/")
        return [self._read(key) for key in sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))]

    def _read(self, key: str) -> Head:
        data = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            document = canonical.from_bytes(data, f"anchor {key}")
        except EvidenceError as error:
            raise LedgerError(str(error)) from error
        head = Head(document.get("sequence", 0), str(document.get("sha256")))
        if document.get("schema") != SCHEMA or names.ledger_key(str(document.get("model")), head.sequence) != key:
            raise LedgerError(f"anchor {key}: found {document}, expected a head of this model and number")
        return head
