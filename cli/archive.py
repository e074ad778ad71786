"""The archive of a commit: its tree and nothing else, the same bytes on every machine.

It is made from the tree's blobs and not by `git archive`, whose result depends on the caller: on the time zone, on
`core.autocrlf`, on export filters of .gitattributes, and on the filter of Git LFS. What a tree only points to is
checked or refused, since the image would be built without it:

- A pointer of Git LFS is replaced by the content that it names, whose SHA-256 and size must be the pointer's.
- A submodule is refused.
"""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from cli.git import git
from lockgate import canonical
from lockgate.errors import LockgateError

# Git LFS, "The pointer": version first, then keys in alphabetical order.
POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>[0-9]+)\n"
)
LONGEST_POINTER = 1024  # bytes
SUBMODULE = "160000"
MOMENT = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say: times are no part of a tree


@dataclass(frozen=True)
class TreeFile:
    """A file of a tree. mode: as git writes it, octal; blob: the id of its content."""

    mode: str
    blob: str
    path: str


def archive(root: Path, commit: str) -> bytes:
    """The commit's files as a zip with the commit in its comment. Raises LockgateError for what cannot be in it.

    Nothing is compressed: libraries compress the same bytes differently.
    """
    files = _files(git(root, "ls-tree", "-r", "-z", "--full-tree", commit))
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as made:
        made.comment = commit.encode()
        for file, content in zip(files, _contents(root, files), strict=True):
            entry = zipfile.ZipInfo(file.path, MOMENT)
            entry.create_system = 3  # Unix, whose modes follow
            entry.external_attr = int(file.mode, 8) << 16
            made.writestr(entry, _without_pointer(root, file, content))
    return written.getvalue()


def _files(listed: bytes) -> list[TreeFile]:
    """What `git ls-tree -r -z` lists, in git's order."""
    files = []
    for line in listed.split(b"\0")[:-1]:
        described, _, name = line.partition(b"\t")
        mode, _, blob = described.decode().split()
        try:
            path = name.decode()
        except UnicodeDecodeError:
            raise LockgateError(f"{name!r}: found a name that is not UTF-8, expected one: rename the file") from None
        if mode == SUBMODULE:
            raise LockgateError(
                f"{path}: found a submodule, expected files: an image of the commit would be built without it. "
                "Commit its files, or install it as a package of model/requirements.lock"
            )
        files.append(TreeFile(mode, blob, path))
    return files


def _contents(root: Path, files: Sequence[TreeFile]) -> Iterator[bytes]:
    """The content of each file, as the commit has it."""
    asked = "".join(f"{file.blob}\n" for file in files).encode()
    done = subprocess.run(
        ["git", "-C", str(root), "cat-file", "--batch"], input=asked, capture_output=True, check=False
    )
    answer = BytesIO(done.stdout)
    for file in files:
        described = answer.readline().split()
        if len(described) != 3:
            raise LockgateError(
                f"{file.path}: git has no content of it ({b' '.join(described).decode()}): fetch the whole commit, "
                "for example with `git fetch --refetch`"
            )
        yield answer.read(int(described[2]))
        answer.read(1)  # the line's end


def _without_pointer(root: Path, file: TreeFile, content: bytes) -> bytes:
    """The content that a pointer of Git LFS names; any other content as it is."""
    pointer = POINTER.fullmatch(content) if len(content) <= LONGEST_POINTER else None
    if pointer is None:
        return content
    oid, size = pointer["oid"].decode(), int(pointer["size"])
    folder = Path(git(root, "rev-parse", "--path-format=absolute", "--git-common-dir").decode().strip())
    for place in (folder / "lfs" / "objects" / oid[:2] / oid[2:4] / oid, root / file.path):
        if place.is_file() and place.stat().st_size == size and canonical.sha256(found := place.read_bytes()) == oid:
            return found
    raise LockgateError(
        f"{file.path}: found a pointer of Git LFS, expected the {size} bytes with SHA-256 {oid} that it names: "
        "fetch them with `git lfs pull` (in GitHub Actions: `lfs: true` of actions/checkout)"
    )
