"""The manifest of a data snapshot: what an operator published for training and for judging, by digest.

It names columns so that the evaluator need not ask the commit under judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate import canonical
from lockgate.errors import EvidenceError
from lockgate.tasks.target import Target, binary, read_target

SCHEMA = "lockgate.snapshot/2"
BEFORE = "lockgate.snapshot/1"  # its targets have labels 0 and 1, and are written as the column's name


@dataclass(frozen=True)
class Part:
    """One Parquet file of a snapshot: SHA-256 (hexadecimal) and number of rows."""

    sha256: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """sources: name of each raw file and its SHA-256."""

    model: str
    identifier: str
    target: Target
    features: tuple[str, ...]
    protected: tuple[str, ...]
    train: Part
    holdout_features: Part
    holdout_labels: Part
    sources: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """A target with labels 0 and 1 is written as 0.1 did, so that the id of such a snapshot is what it was."""
        short = self.target == binary(self.target.name) and not any(
            isinstance(each, bool) for each in self.target.classes
        )
        document = {
            **vars(self),
            "schema": BEFORE if short else SCHEMA,
            "target": self.target.name if short else self.target.as_dict(),
            "features": list(self.features),
            "protected": list(self.protected),
        }
        for part in ("train", "holdout_features", "holdout_labels"):
            document[part] = dict(vars(getattr(self, part)))
        return canonical.to_bytes({**document, "sources": dict(self.sources)})

    @property
    def id(self) -> str:
        """First 16 hexadecimal digits of the manifest's digest."""
        return canonical.sha256(self.to_bytes())[:16]


def read_manifest(data: bytes, expected_id: str) -> Manifest:
    """Raises EvidenceError when the bytes are not the manifest of that id."""
    if canonical.sha256(data)[:16] != expected_id:
        raise EvidenceError(f"snapshot {expected_id}: manifest has id {canonical.sha256(data)[:16]}: it was altered")
    document = canonical.from_bytes(data, f"snapshot {expected_id}")
    schema = document.pop("schema", None)
    if schema not in (SCHEMA, BEFORE):
        raise EvidenceError(f"snapshot {expected_id}: expected schema {SCHEMA!r}")
    try:
        parts = {name: Part(**document.pop(name)) for name in ("train", "holdout_features", "holdout_labels")}
        columns = {name: tuple(document.pop(name)) for name in ("features", "protected")}
        target = document.pop("target")
        named = binary(target) if schema == BEFORE else read_target(target, EvidenceError)
        fields: dict[str, Any] = {**document, **parts, **columns, "target": named}
        manifest = Manifest(**fields)
        written = manifest.to_bytes()
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"snapshot {expected_id}: not a manifest: {error}") from error
    if written != data or not _typed(manifest):
        raise EvidenceError(f"snapshot {expected_id}: not a manifest: a part is not of the type it should be")
    return manifest


def _typed(manifest: Manifest) -> bool:
    """Whether names and digests are texts and rows are counts; what JSON holds can be anything."""
    parts = (manifest.train, manifest.holdout_features, manifest.holdout_labels)
    texts = [manifest.model, manifest.identifier, manifest.target.name, *manifest.features, *manifest.protected]
    texts += [*manifest.sources.values(), *(part.sha256 for part in parts)]
    return all(isinstance(text, str) for text in texts) and all(type(p.rows) is int and p.rows >= 0 for p in parts)
