"""Read a model archive (.tar.gz) into memory. Nothing is written to disk, so nothing in it can leave a folder."""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import PurePosixPath

from lockgate.errors import EvidenceError

LIMIT = 2 * 1024**3  # bytes of all files together, so that a small archive cannot fill the memory


def read_archive(data: bytes) -> dict[str, bytes]:
    """Path -> bytes of every file. Raises EvidenceError on links, devices, paths outside, repeats, damage, excess."""
    files: dict[str, bytes] = {}
    left = LIMIT
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                if member.isdir():
                    continue
                path = PurePosixPath(member.name)
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or path.is_absolute() or ".." in path.parts:
                    raise EvidenceError(f"model archive: found {member.name!r}, expected plain files below one folder")
                if str(path) in files:
                    raise EvidenceError(f"model archive: found {str(path)!r} twice, expected each file once")
                left -= member.size
                if left < 0:
                    raise EvidenceError(f"model archive: found more than {LIMIT} bytes, expected at most that")
                files[str(path)] = content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise EvidenceError(f"model archive: not a .tar.gz archive: {error}") from error
    return files
