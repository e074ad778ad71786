"""What a model package in the registry says about where it came from: the keys of its CustomerMetadataProperties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from lockgate.errors import EvidenceError


@dataclass(frozen=True)
class Lineage:
    """Written by the pipeline's register step, so by the stack's definition and not by the commit's code.

    image: URI with digest.
    execution: ARN of the pipeline execution.
    evidence_uri: s3:// of evidence.json.
    """

    commit: str
    image: str
    snapshot: str
    actor: str
    execution: str
    evidence_uri: str
    evidence_sha256: str
    model_sha256: str


class Registered(NamedTuple):
    """A complete package of the registry; waits: nobody has approved or rejected it there."""

    version: int
    arn: str
    waits: bool


def read_lineage(properties: Mapping[str, str]) -> Lineage:
    """Raises EvidenceError naming what is missing."""
    names = [field.name for field in fields(Lineage)]
    missing = [name for name in names if not properties.get(name)]
    if missing:
        raise EvidenceError(f"model package: metadata {', '.join(missing)}: found nothing, expected lineage")
    return Lineage(**{name: properties[name] for name in names})
