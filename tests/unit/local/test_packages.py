"""One lock becomes one environment, however many embedded AWS need it at once."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from local.host import packages


def test_who_comes_second_takes_what_the_first_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Demos that start together on a fresh clone install the same lock: the later ones failed, and their jobs too."""
    monkeypatch.setattr(packages, "_KEPT", tmp_path)

    def install(lock: bytes, folder: Path) -> None:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_bytes(lock)
        shutil.copytree(folder, packages._KEPT / hashlib.sha256(lock).hexdigest()[:16])  # another process was faster

    monkeypatch.setattr(packages, "_install", install)
    assert packages.python_of(b"numpy").read_bytes() == b"numpy"
    assert len(list(tmp_path.iterdir())) == 1, "nothing half made is left"


def test_an_environment_that_cannot_be_put_in_its_place_is_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_KEPT", tmp_path)
    monkeypatch.setattr(packages, "_install", lambda lock, folder: None)
    with pytest.raises(FileNotFoundError):
        packages.python_of(b"numpy")
