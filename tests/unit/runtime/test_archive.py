from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping

import pytest

from lockgate.errors import EvidenceError
from runtime import archive
from runtime.archive import read_archive

Packed = Callable[[Mapping[str, bytes]], bytes]


def with_member(member: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as out:
        out.addfile(member, io.BytesIO(b"\0" * member.size))
    return buffer.getvalue()


def test_files_come_back_under_their_plain_names(packed: Packed) -> None:
    assert read_archive(packed({"./a": b"1", "b/c": b"2"})) == {"a": b"1", "b/c": b"2"}


def test_folders_are_no_files(packed: Packed) -> None:
    member = tarfile.TarInfo("./")
    member.type = tarfile.DIRTYPE
    assert read_archive(with_member(member)) == {}


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../up"])
def test_a_path_that_leaves_the_folder_is_refused(packed: Packed, name: str) -> None:
    with pytest.raises(EvidenceError, match="expected plain files below one folder"):
        read_archive(packed({name: b""}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(kind: bytes) -> None:
    member = tarfile.TarInfo("model.json")
    member.type, member.linkname = kind, "model.skops"
    with pytest.raises(EvidenceError, match="expected plain files"):
        read_archive(with_member(member))


def test_a_name_that_occurs_twice_is_refused(packed: Packed) -> None:
    with pytest.raises(EvidenceError, match="'a' twice"):
        read_archive(packed({"a": b"1", "./a": b"2"}))


def test_an_archive_that_unpacks_to_too_much_is_refused(packed: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LIMIT", 1000)
    assert len(read_archive(packed({"a": b"\0" * 1000}))) == 1
    with pytest.raises(EvidenceError, match="more than 1000 bytes"):
        read_archive(packed({"a": b"\0" * 600, "b": b"\0" * 600}))


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no tar" * 200, mtime=0)])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"not a \.tar\.gz archive"):
        read_archive(data)


def test_a_truncated_archive_is_refused(packed: Packed) -> None:
    whole = packed({"a": bytes(range(256)) * 400})
    with pytest.raises(EvidenceError, match="model archive"):
        read_archive(whole[: len(whole) // 2])
