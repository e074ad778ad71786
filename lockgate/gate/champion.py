"""The champion: the version that the last environment serves, which a challenger must not be worse than.

A delivery learns it from a note that the recorder of deployments leaves; nobody trusts the note. The gate compares what
was evaluated with what the ledger says is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from lockgate import canonical
from lockgate.errors import EvidenceError
from lockgate.ledger.kinds import Deployment, Verdict
from lockgate.ledger.records import Record


@dataclass(frozen=True)
class ChampionNote:
    """A served version: its image with digest, the s3:// URI of its model.tar.gz, and that file's SHA-256."""

    version: int
    image: str
    model_data_uri: str
    model_sha256: str

    def to_bytes(self) -> bytes:
        return canonical.to_bytes(asdict(self))


def champion_of(deployment: Record[Deployment] | None, verdict: Record[Verdict] | None) -> ChampionNote | None:
    """What a successful deployment put in place, from its record and the verdict's on that version."""
    source = verdict.entry.body.source if verdict else None
    if deployment is None or source is None:
        return None
    release = deployment.entry.body.release
    uri = f"s3://{source.bucket}/{source.key}"
    return ChampionNote(deployment.entry.version, release.image, uri, release.model_sha256)


def read_champion(data: bytes) -> ChampionNote:
    """Raises EvidenceError when bytes are not a champion's note."""
    document: Mapping[str, object] = canonical.from_bytes(data, "champion")
    version, texts = (
        document.get("version"),
        [document.get(name) for name in ("image", "model_data_uri", "model_sha256")],
    )
    if type(version) is not int or not all(isinstance(text, str) for text in texts) or len(document) != 4:
        raise EvidenceError(
            f"champion: found {dict(document)!r}, expected version, image, model_data_uri, model_sha256"
        )
    return ChampionNote(version, *(str(text) for text in texts))
