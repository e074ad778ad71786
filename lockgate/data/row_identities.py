"""Which rows a set of rows has, as digests: enough to prove that two sets share none, without showing a row.

A row is what its identifier names. Rows can be alike (half of a year of census records are like one of the year
before), so contents prove nothing; how many are alike is counted, because all of them would mean that the same rows
were numbered anew. No label is in a digest: of two possible labels it could be guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from lockgate.errors import EvidenceError

SIZE = 16  # bytes of SHA-256 that are kept: two of a billion rows meet by chance once in 10^20 snapshots


@dataclass(frozen=True)
class Identities:
    """Digests of the rows' identifiers, each once, and of their contents, which may repeat; neither in rows' order."""

    identifiers: frozenset[bytes]
    contents: tuple[bytes, ...]

    @property
    def rows(self) -> int:
        return len(self.contents)


def identities(identifiers: Iterable[object], contents: Iterable[Sequence[object]]) -> bytes:
    """All identifiers' digests in order, then all contents'; content is a row's features in the manifest's order."""
    parts = [sorted(_digest(row) for row in identifiers), sorted(_digest(tuple(row)) for row in contents)]
    return b"".join(digest for part in parts for digest in part)


def read_identities(data: bytes) -> Identities:
    """Raises EvidenceError for bytes that are no such digests, or that have an identifier twice."""
    half = len(data) // 2
    if len(data) % (2 * SIZE):
        raise EvidenceError(f"identities: found {len(data)} bytes, expected {2 * SIZE} a row")
    cut = [data[start : start + SIZE] for start in range(0, len(data), SIZE)]
    found = Identities(frozenset(cut[: half // SIZE]), tuple(cut[half // SIZE :]))
    if len(found.identifiers) != found.rows:
        raise EvidenceError(f"identities: found {len(found.identifiers)} different identifiers of {found.rows} rows")
    return found


def alike(rows: Identities, others: Identities) -> int:
    """How many of the rows have a content that some other row has too."""
    known = set(others.contents)
    return sum(content in known for content in rows.contents)


def refuse_shared(name: str, rows: Identities, other_name: str, others: Identities) -> None:
    """Raises EvidenceError when both have a row in common."""
    shared = len(rows.identifiers & others.identifiers)
    if shared:
        raise EvidenceError(f"{name}: found {shared} of {rows.rows} rows that {other_name} has too, expected none")


def _digest(value: object) -> bytes:
    return sha256(repr(value).encode()).digest()[:SIZE]
