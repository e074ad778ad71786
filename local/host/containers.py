"""Run an OCI image from the emulated ECR as a process of this user: its files, its command, its environment.

What is real: the manifest, config and layers, every digest verified; the files the image copies; entry
point, command, ENV and WORKDIR; the packages of its lock, and no others. What is not: there is no isolation, and the
base image and other RUN steps are not executed. The interpreter of this project stands for them, and in an image
without a lock its packages too.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from local import recorded
from local.host import packages
from local.settings import Settings

LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
_GZIPPED_LAYERS = (LAYER_TAR + "+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip")
_SITE = Path(__file__).parent / "site"
_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[a-z0-9._/-]+)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PYTHON = re.compile(r"python(3(\.\d+)?)?")


class ImageNotFound(Exception):  # noqa: N818  (the words of the registry)
    """The reference names no image of the emulated ECR; the message says which part is missing."""


class ImageInvalid(Exception):  # noqa: N818
    """The image is there but its bytes do not match their digests, or use a feature that cannot run here."""


@dataclass(frozen=True)
class UnpackedImage:
    """An unpacked image. `root` holds its files, `python` runs them; the other paths are those inside the image."""

    digest: str
    root: Path
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    workdir: str
    python: Path = Path(sys.executable)


_unpacking = threading.Lock()
# Each running process, and the private folder that goes with it.
_running: dict[subprocess.Popen[bytes], Path | None] = {}
# PR_SET_PDEATHSIG fires when the *thread* that forked ends: one thread, as old as the server, starts all.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="containers")


def is_ecr(image_uri: str) -> bool:
    """Whether a reference names an image of ECR, the only registry there is here."""
    return _URI.fullmatch(image_uri) is not None


def pull(image_uri: str, settings: Settings) -> UnpackedImage:
    """Read `<account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag][@digest]` and unpack its layers once.

    Raises ImageNotFound when ECR has no such image and ImageInvalid when a digest does not match, or its lock
    cannot be installed.
    """
    # Imported here because ministack reads its configuration from the environment at import.
    from ministack.core.responses import request_scope
    from ministack.services import ecr

    parts = _URI.fullmatch(image_uri)
    if parts is None:
        raise ImageNotFound(f"{image_uri} is not an ECR image: expected <account>.dkr.ecr.<region>.amazonaws.com/…")
    repository, reference = parts["repository"], parts["digest"] or parts["tag"] or "latest"
    with request_scope(parts["account"], parts["region"]):
        if repository not in ecr._repositories:
            raise ImageNotFound(f"{image_uri}: repository {repository} does not exist in {parts['account']}")
        digest, manifest_bytes, _ = ecr._resolve_manifest(repository, reference)
        blobs: Mapping[str, bytes] = ecr._layer_blobs.get(repository) or {}
    if manifest_bytes is None:
        raise ImageNotFound(f"{image_uri}: {reference} not found in repository {repository}")

    manifest = json.loads(_verified(manifest_bytes, digest))
    if "config" not in manifest:
        raise ImageInvalid(f"{image_uri}: an index of several platforms cannot run here, push a single image")
    document = json.loads(_verified(_blob(blobs, manifest["config"]["digest"]), manifest["config"]["digest"]))
    config = document.get("config", {})
    root = _unpacked(digest, manifest["layers"], document["rootfs"]["diff_ids"], blobs, settings)
    environment = dict(entry.split("=", 1) for entry in config.get("Env") or ())
    return UnpackedImage(
        digest=digest,
        root=root,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        environment=MappingProxyType(environment),
        workdir=config.get("WorkingDir") or "/",
        python=_python(image_uri, root, environment),
    )


def start(
    image: UnpackedImage,
    *,
    entrypoint: Sequence[str] | None,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    ml_root: Path | None,
    log: Path,
    settings: Settings,
) -> subprocess.Popen[bytes]:
    """Start the image's process in its own session; its output is appended to `log`.

    `entrypoint` None means the image's own. As in a container runtime, the image's CMD is used only when
    neither an entry point nor arguments are given. Nothing of the server's own environment is passed on.
    A command that cannot be executed ends with 127 (not found) or 126 and says so in `log`.
    """
    recorded.note("containers", "isolation: a container is a process of this user, without limits or user switch")
    recorded.note("containers", "base image: this project's interpreter stands for it")
    recorded.note("containers", "RUN steps: of these, the packages of an image's lock are installed and nothing else")
    own = [*image.entrypoint, *(arguments or image.command)]
    words = own if entrypoint is None else [*entrypoint, *arguments]
    private = settings.work / "containers" / uuid.uuid4().hex
    for folder in (private / "home", private / "tmp", log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    root = image.root
    workdir = root / image.workdir.lstrip("/")
    workdir.mkdir(parents=True, exist_ok=True)  # a container runtime creates WORKDIR too
    with log.open("ab") as output:
        process = spawn(
            _command(words, image),
            cwd=workdir,
            environment=_environment(image, environment, private, ml_root),
            output=output,
        )
    _running[process] = private
    return process


def spawn(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start a process in its own session that ends with this server, its output and errors going to `output`."""
    _forget_ended()
    process = _spawner.submit(
        subprocess.Popen,
        [sys.executable, "-I", "-S", str(_SITE / "bind_to_parent.py"), str(os.getpid()), *command],
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ).result()
    _running[process] = None
    return process


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> int:
    """End the process and its group: SIGTERM, then SIGKILL after `grace` seconds. Returns its exit code."""
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=grace)
    _signal_group(process, signal.SIGKILL)  # also what the process left behind in its group
    return process.wait()


def _verified(content: bytes, digest: str) -> bytes:
    found = "sha256:" + hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ImageInvalid(f"content of {digest} has digest {found}")
    return content


def _blob(blobs: Mapping[str, bytes], digest: str) -> bytes:
    if digest not in blobs:
        raise ImageInvalid(f"blob {digest} is missing in the registry")
    return blobs[digest]


def _unpacked(
    digest: str,
    layers: Sequence[Mapping[str, Any]],
    diff_ids: Sequence[str],
    blobs: Mapping[str, bytes],
    settings: Settings,
) -> Path:
    """The folder with the image's files, made once per digest and moved into place whole."""
    final = settings.images / digest.removeprefix("sha256:")
    with _unpacking:
        if final.exists():
            return final
        partial = settings.images / f".{uuid.uuid4().hex}"
        partial.mkdir(parents=True)
        try:
            for layer, diff_id in zip(layers, diff_ids, strict=True):
                content = _verified(_blob(blobs, layer["digest"]), layer["digest"])
                if layer["mediaType"] in _GZIPPED_LAYERS:
                    content = gzip.decompress(content)
                elif layer["mediaType"] != LAYER_TAR:
                    raise ImageInvalid(f"layer {layer['digest']}: unsupported media type {layer['mediaType']}")
                _extract(_verified(content, diff_id), partial)
            partial.rename(final)
        except BaseException:
            shutil.rmtree(partial)
            raise
    return final


def _extract(layer: bytes, root: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as archive:
        for member in archive.getmembers():
            if Path(member.name).name.startswith(".wh."):
                raise ImageInvalid(f"layer deletes a file ({member.name}), which cannot run here")
        # "data" refuses absolute names, names and links that leave root, and devices.
        archive.extractall(root, filter="data")


def _python(image_uri: str, root: Path, environment: Mapping[str, str]) -> Path:
    """What runs the image's Python: with the packages of the lock on its path, or with ours where it has none."""
    for folder in environment.get("PYTHONPATH", "").split(":"):
        lock = root / folder.lstrip("/") / packages.LOCK
        if folder and lock.is_file():
            try:
                return packages.python_of(lock.read_bytes())
            except packages.PackagesError as error:
                raise ImageInvalid(f"{image_uri}: the packages of its lock cannot be installed: {error}") from error
    return Path(sys.executable)


def _command(words: Sequence[str], image: UnpackedImage) -> list[str]:
    if not words:
        raise ImageInvalid("the image has neither an entry point nor a command")
    program, root = words[0], image.root
    inside = _inside(program, root)
    if inside == program and _PYTHON.fullmatch(Path(program).name):
        inside = str(image.python)
    return [inside, *(_inside(word, root) for word in words[1:])]


def _inside(value: str, root: Path) -> str:
    """`value` as a path below root, if it is an absolute path of something the image contains."""
    path = root / value.lstrip("/")
    return str(path) if len(value) > 1 and value.startswith("/") and path.exists() else value


def _environment(
    image: UnpackedImage, environment: Mapping[str, str], private: Path, ml_root: Path | None
) -> dict[str, str]:
    own = {
        name: ":".join(_inside(part, image.root) for part in value.split(":"))
        for name, value in image.environment.items()
    }
    # Containers share the cores here: a thread that waits for another leaves its core, instead of turning on it.
    merged = {"LANG": "C.UTF-8", "OMP_WAIT_POLICY": "passive", **own, **environment}
    merged["HOME"], merged["TMPDIR"] = str(private / "home"), str(private / "tmp")
    programs = (part for part in own.get("PATH", "").split(":") if part.startswith(str(image.root)))
    merged["PATH"] = _joined([*programs, str(image.python.parent), "/usr/local/bin", "/usr/bin", "/bin"])
    merged["PYTHONPATH"] = _joined([merged.get("PYTHONPATH", ""), str(_SITE)])
    if ml_root is not None:
        merged["ML_ROOT"] = str(ml_root)
    return merged


def _joined(paths: Iterable[str]) -> str:
    return ":".join(path for path in paths if path)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)  # its own session, so the group has the pid of its leader


def _forget_ended() -> None:
    for process, private in list(_running.items()):
        if process.poll() is not None:
            _running.pop(process, None)
            if private is not None:
                shutil.rmtree(private, ignore_errors=True)


@atexit.register
def _end_all() -> None:
    for process in list(_running):
        if process.poll() is None:
            _signal_group(process, signal.SIGKILL)
