"""The archive of a commit is its tree, whatever machine, setting or filter makes it."""

from __future__ import annotations

import os
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from cli.archive import archive
from lockgate import canonical
from lockgate.errors import LockgateError

CONTENT = b"rows of a table\n" * 100
OID = canonical.sha256(CONTENT)
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(CONTENT)}\n".encode()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with a text, a program, a link, an odd name, an ignored export and a line to substitute."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "text.txt").write_bytes(b"one\ntwo\n")
    (root / "windows.txt").write_bytes(b"one\r\ntwo\r\n")
    (root / "program").write_text("#!/bin/sh\n")
    (root / "program").chmod(0o755)
    (root / "link").symlink_to("text.txt")
    (root / "ünïcode\n\tname").write_text("odd\n")
    (root / "left_out.txt").write_text("never exported\n")
    (root / "substituted.txt").write_text("$Format:%H$\n")
    (root / ".gitattributes").write_text("left_out.txt export-ignore\nsubstituted.txt export-subst\n*.txt text=auto\n")
    return root


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "core.autocrlf=false")
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a commit")
    return git(root, "rev-parse", "HEAD")


def opened(made: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(BytesIO(made))


def test_every_file_is_in_it_as_its_blob_with_its_mode(tree: Path) -> None:
    sha = commit(tree)
    with opened(archive(tree, sha)) as made:
        assert made.comment.decode() == sha
        assert sorted(made.namelist()) == sorted(git(tree, "ls-tree", "-r", "-z", "--name-only", sha).split("\0")[:-1])
        for entry in made.infolist():
            blob = subprocess.run(
                ["git", "-C", str(tree), "cat-file", "blob", f"{sha}:{entry.filename}"], capture_output=True, check=True
            )
            assert made.read(entry) == blob.stdout
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in made.infolist()}
    assert (modes["program"], modes["link"], modes["text.txt"]) == ("0o100755", "0o120000", "0o100644")


def test_neither_time_zone_nor_settings_nor_the_working_tree_change_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = commit(tree)
    before = archive(tree, sha)
    monkeypatch.setenv("TZ", "Pacific/Apia")
    git(tree, "config", "core.autocrlf", "true")
    git(tree, "config", "core.eol", "crlf")
    git(tree, "config", "tar.umask", "0077")
    (tree / "text.txt").write_text("changed and not committed\n")
    os.utime(tree / "program", (0, 0))
    assert archive(tree, sha) == before


def test_a_submodule_is_refused_by_name(tree: Path) -> None:
    sha = commit(tree)
    git(tree, "update-index", "--add", "--cacheinfo", f"160000,{sha},library")
    git(tree, "commit", "-q", "-m", "a submodule")
    with pytest.raises(LockgateError, match="library: found a submodule, expected files"):
        archive(tree, "HEAD")


def test_the_content_that_a_pointer_of_lfs_names_is_in_it(tree: Path) -> None:
    (tree / "rows.csv").write_bytes(POINTER)
    sha = commit(tree)
    with pytest.raises(LockgateError, match=r"rows.csv: found a pointer of Git LFS, expected the 1600 bytes"):
        archive(tree, sha)
    (tree / "rows.csv").write_bytes(CONTENT)  # as `git lfs pull` leaves it
    from_the_tree = archive(tree, sha)
    (tree / "rows.csv").write_bytes(CONTENT.replace(b"r", b"R"))  # as long, and another
    with pytest.raises(LockgateError, match="git lfs pull"):
        archive(tree, sha)
    store = tree / ".git" / "lfs" / "objects" / OID[:2] / OID[2:4]
    store.mkdir(parents=True)
    (store / OID).write_bytes(CONTENT)
    assert archive(tree, sha) == from_the_tree
    with opened(from_the_tree) as made:
        assert made.read("rows.csv") == CONTENT


def test_a_commit_whose_blobs_are_not_here_is_refused_with_what_to_do(tree: Path) -> None:
    sha = commit(tree)
    blob = git(tree, "rev-parse", f"{sha}:text.txt")
    (tree / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(LockgateError, match="git has no content of it"):
        archive(tree, sha)
