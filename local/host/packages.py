"""The packages of an image: what its lock names and nothing else, whatever this project itself has.

`RUN pip install --target FOLDER --requirement LOCK` is performed here, once for each lock and for all images that have
it: each package comes in the version and with a hash that the lock names, from uv's cache or the package index, and is
linked rather than copied. So a package that a lock lacks is missing here as it is on AWS. The base image and other
commands of a recipe are not performed: the interpreter is this project's, without its packages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LOCK = "requirements.lock"  # beside the packages that an image's build would have installed from it
_KEPT = Path(sys.prefix) / "images"  # goes with the virtual environment, of which it is made
_WALKER = "lockgate_walker.so"  # which another RUN compiles, and set-up too
_SECONDS = 600
_installing = threading.Lock()
_outside: dict[str, str] = {}


class PackagesError(Exception):
    """A lock could not be installed; the message has the installer's words."""


def install_with(environment: Mapping[str, str]) -> None:
    """Reach the package index as the person does who started the server, and not through its own proxy."""
    _outside.update(environment)


def python_of(lock: bytes) -> Path:
    """An interpreter that finds the packages of a lock, with hashes, and no others. Raises PackagesError."""
    made = _KEPT / hashlib.sha256(lock).hexdigest()[:16]
    with _installing:
        if not made.exists():
            partial = _KEPT / f".{uuid.uuid4().hex}"
            try:
                _install(lock, partial)
                _put(partial, made)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return made / "bin" / "python"


def _put(partial: Path, made: Path) -> None:
    """Another embedded AWS may have installed the same lock meanwhile; a folder that is not empty is not replaced."""
    try:
        partial.rename(made)
    except OSError:
        if not made.is_dir():
            raise


def _install(lock: bytes, folder: Path) -> None:
    _uv("venv", "--python", getattr(sys, "_base_executable", sys.executable), str(folder))
    file = folder / LOCK
    file.write_bytes(lock)
    # Links need one file system; elsewhere uv copies.
    _uv(
        "pip",
        "sync",
        "--python",
        str(folder / "bin" / "python"),
        "--only-binary",
        ":all:",
        "--require-hashes",
        str(file),
    )
    own, ours = _site(folder), _site(Path(sys.prefix))
    if (ours / _WALKER).exists():
        shutil.copy(ours / _WALKER, own / _WALKER)
    _link_compiled(ours, own)


def _link_compiled(ours: Path, own: Path) -> None:
    """What this project has compiled of the very same files; else the first job of each image compiles for seconds.

    Where files cannot be linked, that is what happens.
    """
    for cache in ours.glob("**/__pycache__"):
        folder = own / cache.parent.relative_to(ours)
        if not folder.is_dir():
            continue
        for compiled in cache.iterdir():
            name = compiled.name.partition(".")[0] + ".py"
            source, known = folder / name, cache.parent / name
            if source.exists() and known.exists() and source.samefile(known):
                (folder / "__pycache__").mkdir(exist_ok=True)
                with suppress(OSError):
                    os.link(compiled, folder / "__pycache__" / compiled.name)


def _site(prefix: Path) -> Path:
    return prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _uv(*words: str) -> None:
    environment = _outside or dict(os.environ)
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}")
    if program is None:
        raise PackagesError("uv: found no such program, expected it beside this Python or on PATH: `pip install uv`")
    try:
        done = subprocess.run(
            [program, *words], env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise PackagesError(f"uv {words[0]}: did not end within {_SECONDS} s: is the package index reached?") from error
    if done.returncode:
        raise PackagesError(" ".join(done.stderr.split()))
