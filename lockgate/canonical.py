"""One way to turn data into bytes, and bytes into a digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from lockgate.errors import EvidenceError


def to_bytes(data: Mapping[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, no NaN or infinity (ValueError)."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def from_bytes(data: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, no NaN or infinity, no duplicate keys. Raises EvidenceError naming `what`."""

    def refuse(constant: str) -> NoReturn:
        raise EvidenceError(f"{what}: found the number {constant}, expected a finite one")

    def finite(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else refuse(text)  # 1e999 is JSON, and infinity

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            times = Counter(key for key, _ in pairs)
            twice = sorted(key for key in times if times[key] > 1)
            raise EvidenceError(f"{what}: found the key(s) {', '.join(twice)} twice, expected each once")
        return found

    try:
        found = json.loads(data.decode(), parse_constant=refuse, parse_float=finite, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"{what}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise EvidenceError(f"{what}: found {type(found).__name__}, expected an object")
    return found


def sha256(data: bytes | Iterable[bytes]) -> str:
    """Lower-case hexadecimal SHA-256 of bytes, or of chunks in order."""
    digest = hashlib.sha256()
    for chunk in (data,) if isinstance(data, bytes) else data:
        digest.update(chunk)
    return digest.hexdigest()


def contents_sha256(files: Mapping[str, bytes]) -> str:
    """Digest of a folder's contents, independent of how they were archived: sorted paths and their bytes.

    Each file adds `<path>\\0<sha256 of its bytes>\\n`.
    """
    return sha256(f"{path}\0{sha256(files[path])}\n".encode() for path in sorted(files))
