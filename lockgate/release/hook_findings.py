"""What a lifecycle hook found: ECS is told yes or no, so why is kept beside the deployment."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lockgate import canonical
from lockgate.errors import LedgerError

SCHEMA = "lockgate.finding/1"


@dataclass(frozen=True)
class HookFinding:
    """verdict_id: of the release that was deployed; passed: whether the deployment went on; message: why."""

    verdict_id: str
    passed: bool
    message: str

    def to_bytes(self) -> bytes:
        return canonical.to_bytes({"schema": SCHEMA, **asdict(self)})


def read_finding(data: bytes) -> HookFinding:
    """Raises LedgerError when bytes are not a finding."""
    document = canonical.from_bytes(data, "finding")
    if document.pop("schema", None) != SCHEMA or set(document) != {"verdict_id", "passed", "message"}:
        raise LedgerError(f"finding: found {document}, expected {SCHEMA}")
    return HookFinding(**document)
