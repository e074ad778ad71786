"""The local image builder: from a Dockerfile and a folder a real OCI image, the same bytes for the same files.

Performed: ARG, ENV, WORKDIR, COPY, USER, LABEL, ENTRYPOINT, CMD, EXPOSE, HEALTHCHECK, stages. Not performed, and
said in `BuiltImage.not_performed`: FROM a registry, RUN, and copying what RUN would have made. One RUN leaves a trace:
of what `pip install --target FOLDER --requirement LOCK` would install, each package's name and version stand in the
image as metadata, so that its bill of materials lists what the lock pins. The lock is beside them: whoever runs the
image installs from it (local.host.packages).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from local.host.containers import LAYER_TAR
from local.host.packages import LOCK
from local.images.dockerfile import DockerfileError, Instruction, parse, substitute

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
CREATED = "1970-01-01T00:00:00Z"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HEALTH_TIMES = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}
_PIP_INSTALL = re.compile(r"\bpip install\b.*?--target (?P<folder>\S+).*?--requirement (?P<lock>\S+)")
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([\w.!+-]+)", re.MULTILINE)
_COPY_FLAGS = {"chmod", "chown", "from", "link"}


@dataclass(frozen=True)
class LayerEntry:
    """One file (read only when a layer is written, or with its content), symbolic link or folder (none of these)."""

    mode: int
    file: Path | None = None
    target: str | None = None
    content: bytes | None = None

    @property
    def is_folder(self) -> bool:
        return self.file is None and self.target is None and self.content is None


@dataclass(frozen=True)
class Stage:
    """What one FROM ... block amounts to."""

    layers: tuple[Mapping[str, LayerEntry], ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    workdir: str = "/"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def files(self) -> dict[str, LayerEntry]:
        return {name: entry for layer in self.layers for name, entry in layer.items()}


@dataclass(frozen=True)
class BuiltImage:
    """A finished image: its blobs by digest, the digest of its manifest, and what of the recipe was not performed."""

    digest: str
    blobs: Mapping[str, bytes]
    not_performed: tuple[str, ...]

    @property
    def manifest(self) -> bytes:
        return self.blobs[self.digest]


def build(
    dockerfile: str,
    context: Path,
    arguments: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    platform: str = "linux/amd64",
) -> BuiltImage:
    """Build the last stage of `dockerfile` from the files of `context`. Raises DockerfileError."""
    builder = _Builder(context, dict(arguments or {}))
    for instruction in parse(dockerfile):
        builder.apply(instruction)
    if builder.stage is None:
        raise DockerfileError(1, "there is no FROM")
    return _image(builder.stage, labels or {}, platform, builder.not_performed)


class _Builder:
    """Applies instructions one by one; `stage` is the one being built."""

    def __init__(self, context: Path, arguments: dict[str, str]) -> None:
        self._context = context
        self.arguments = arguments
        self.global_values: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.stages: dict[str, Stage] = {}
        self.name = ""
        self.stage: Stage | None = None
        self.not_performed: list[str] = []

    @cached_property
    def files(self) -> dict[str, LayerEntry]:
        return _context_files(self._context, _ignored(self._context))

    def apply(self, instruction: Instruction) -> None:
        word = instruction.word
        if word == "ARG":
            self._arg(instruction)
        elif word == "FROM":
            self._from(instruction)
        elif self.stage is None:
            raise DockerfileError(instruction.line, f"{word} before the first FROM")
        else:
            self.stage = self._in_stage(self.stage, instruction)
            self.stages[self.name] = self.stage

    def _arg(self, instruction: Instruction) -> None:
        name, _, default = instruction.text.partition("=")
        values = self.global_values if self.stage is None else self.values
        inherited = substitute(default.strip("\"'"), values) or self.global_values.get(name, "")
        values[name] = self.arguments.get(name, inherited)

    def _from(self, instruction: Instruction) -> None:
        words = instruction.words(self.global_values)
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
            raise DockerfileError(instruction.line, f"FROM {instruction.text}: expected FROM IMAGE [AS NAME]")
        self.values = {}
        self.name = words[2] if len(words) == 3 else str(len(self.stages))
        if words[0] in self.stages:
            self.stage = self.stages[words[0]]
        else:
            self.stage = Stage()
            if words[0] != "scratch":
                self._skip(f"FROM {words[0]}")
        self.stages[self.name] = self.stage

    def _in_stage(self, stage: Stage, instruction: Instruction) -> Stage:
        values = {**self.values, **stage.environment}
        word, settings = instruction.word, stage.settings
        if word == "RUN":
            self._skip(f"RUN {instruction.text}")
            listed = _listed_packages(stage, instruction.text)
            return replace(stage, layers=(*stage.layers, listed)) if listed else stage
        if word == "COPY":
            layer = self._copy(stage, instruction, values)
            return replace(stage, layers=(*stage.layers, layer)) if layer else stage
        if word == "ENV":
            return replace(stage, environment={**stage.environment, **instruction.pairs(values)})
        if word == "WORKDIR":
            return replace(stage, workdir=_inside(stage.workdir, substitute(instruction.text, values)))
        added: dict[str, Any]
        if word == "LABEL":
            added = {"Labels": {**settings.get("Labels", {}), **instruction.pairs(values)}}
        elif word == "ENTRYPOINT":
            added = {"Entrypoint": instruction.command()}
        elif word == "CMD":
            added = {"Cmd": instruction.command()}
        elif word == "USER":
            added = {"User": substitute(instruction.text, values)}
        elif word == "EXPOSE":
            ports: dict[str, Any] = {port if "/" in port else f"{port}/tcp": {} for port in instruction.words(values)}
            added = {"ExposedPorts": {**settings.get("ExposedPorts", {}), **ports}}
        elif word == "HEALTHCHECK":
            added = {"Healthcheck": _health_check(instruction)}
        else:
            raise DockerfileError(instruction.line, f"{word} is not supported")
        return replace(stage, settings={**settings, **added})

    def _copy(self, stage: Stage, instruction: Instruction, values: Mapping[str, str]) -> dict[str, LayerEntry]:
        unknown = set(instruction.flags) - _COPY_FLAGS
        if unknown:
            raise DockerfileError(instruction.line, f"COPY --{min(unknown)} is not supported")
        *sources, destination = instruction.words(values)
        if not sources:
            raise DockerfileError(instruction.line, f"COPY {instruction.text}: expected COPY SOURCE... DESTINATION")
        if "chown" in instruction.flags:
            self._skip(f"COPY --chown={instruction.flags['chown']}: every file belongs to root")
        chmod = int(instruction.flags["chmod"], 8) if "chmod" in instruction.flags else None
        origin = instruction.flags.get("from")
        if origin is None:
            available = self.files
        elif origin in self.stages or origin.isdigit():
            available = (self.stages.get(origin) or list(self.stages.values())[int(origin)]).files()
        else:
            available = {}
        into_folder = destination.endswith("/") or len(sources) > 1
        target = _inside(stage.workdir, destination)
        copied: dict[str, LayerEntry] = {}
        for source in sources:
            found = _select(available, source, target, into_folder)
            if not found and origin is None:
                raise DockerfileError(instruction.line, f"COPY {source}: not found in the build context")
            if not found:
                self._skip(f"COPY --from={origin} {source}: only RUN or the base image would have made it")
            copied |= found
        if chmod is not None:
            copied = {name: replace(entry, mode=chmod) for name, entry in copied.items()}
        return _with_parents(copied) if copied else {}

    def _skip(self, what: str) -> None:
        self.not_performed.append(what)


def _listed_packages(stage: Stage, command: str) -> dict[str, LayerEntry]:
    """The metadata of each package that this command would install from a lock into a folder; nothing for any other."""
    install = _PIP_INSTALL.search(command)
    lock = stage.files().get(install["lock"].lstrip("/")) if install else None
    if install is None or lock is None or lock.file is None:
        return {}
    listed = {f"{install['folder'].strip('/')}/{LOCK}": lock}
    for name, version in _PINNED.findall(lock.file.read_text(encoding="utf-8")):
        folder = f"{install['folder'].strip('/')}/{name.replace('-', '_')}-{version}.dist-info"
        content = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        listed[f"{folder}/METADATA"] = LayerEntry(0o644, content=content)
    return _with_parents(listed)


def _select(available: Mapping[str, LayerEntry], source: str, target: str, into_folder: bool) -> dict[str, LayerEntry]:
    """What one COPY source names among `available`, at its place in the image (names without leading slash)."""
    wanted = str(PurePosixPath("/", source)).lstrip("/")
    if wanted in ("", "."):
        return {_joined(target, name): entry for name, entry in available.items()}
    pattern = re.compile(_expression(wanted))
    found: dict[str, LayerEntry] = {}
    for name in sorted(available):
        if not pattern.fullmatch(name):
            continue
        if available[name].is_folder:
            inside = {n[len(name) + 1 :]: e for n, e in available.items() if n.startswith(f"{name}/")}
            found |= {_joined(target, inner): entry for inner, entry in inside.items()}
            found[target.lstrip("/")] = available[name]
        else:
            place = _joined(target, PurePosixPath(name).name) if into_folder else target.lstrip("/")
            found[place] = available[name]
    found.pop("", None)
    return found


def _context_files(context: Path, ignored: Sequence[tuple[bool, re.Pattern[str]]]) -> dict[str, LayerEntry]:
    """Every file of the context that .dockerignore lets through; only the owner's execute bit counts as mode."""
    found: dict[str, LayerEntry] = {}
    for path in sorted(context.rglob("*")):
        name = path.relative_to(context).as_posix()
        if _is_ignored(name, ignored):
            continue
        if path.is_symlink():
            found[name] = LayerEntry(0o777, target=str(path.readlink()))
        elif path.is_dir():
            found[name] = LayerEntry(0o755)
        else:
            executable = path.stat().st_mode & stat.S_IXUSR
            found[name] = LayerEntry(0o755 if executable else 0o644, file=path)
    return found


def _ignored(context: Path) -> list[tuple[bool, re.Pattern[str]]]:
    """(ignored or kept, pattern) of each line of .dockerignore."""
    file = context / ".dockerignore"
    lines = file.read_text().splitlines() if file.exists() else []
    rules = []
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            keep = text.startswith("!")
            pattern = text.removeprefix("!").strip("/")
            rules.append((not keep, re.compile(_expression(pattern) + r"(/.*)?")))
    return rules


def _is_ignored(name: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    ignored = False
    for ignore, pattern in rules:
        if pattern.fullmatch(name):
            ignored = ignore
    return ignored


def _expression(pattern: str) -> str:
    """A docker file pattern as a regular expression: `**` crosses folders, `*` and `?` do not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    meaning = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(meaning.get(part, re.escape(part)) for part in parts)


def _with_parents(entries: Mapping[str, LayerEntry]) -> dict[str, LayerEntry]:
    parents = {str(p) for name in entries for p in PurePosixPath(name).parents if str(p) != "."}
    return {**{parent: LayerEntry(0o755) for parent in parents}, **entries}


def _health_check(instruction: Instruction) -> dict[str, Any]:
    word, _, rest = instruction.text.partition(" ")
    if word == "NONE":
        return {"Test": ["NONE"]}
    if word != "CMD" or not rest:
        raise DockerfileError(instruction.line, f"HEALTHCHECK {instruction.text}: expected CMD or NONE")
    inner = replace(instruction, text=rest.strip())
    exec_form = inner.exec_form()
    found: dict[str, Any] = {"Test": ["CMD-SHELL", inner.text] if exec_form is None else ["CMD", *exec_form]}
    for flag, value in instruction.flags.items():
        if flag == "retries":
            found["Retries"] = int(value)
        elif flag in _HEALTH_TIMES and (seconds := re.fullmatch(r"(\d+)s", value)):
            found[_HEALTH_TIMES[flag]] = int(seconds[1]) * 10**9
        else:
            raise DockerfileError(instruction.line, f"HEALTHCHECK --{flag}={value} is not supported")
    return found


def _inside(workdir: str, path: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(workdir, path).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}".lstrip("/")


def _layer(entries: Mapping[str, LayerEntry]) -> bytes:
    """An uncompressed tar, so that no zlib version shows in the digest."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(entries):
            entry, info = entries[name], tarfile.TarInfo(name)
            info.mode, info.mtime, info.uid, info.gid = entry.mode, 0, 0, 0
            if entry.target is not None:
                info.type, info.linkname = tarfile.SYMTYPE, entry.target
            elif entry.is_folder:
                info.type = tarfile.DIRTYPE
            content = entry.file.read_bytes() if entry.file else entry.content or b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


def _image(stage: Stage, labels: Mapping[str, str], platform: str, not_performed: Iterable[str]) -> BuiltImage:
    layers = [_layer(entries) for entries in stage.layers]
    system, _, architecture = platform.partition("/")
    settings = dict(stage.settings)
    settings["Env"] = [f"{key}={value}" for key, value in stage.environment.items()]
    settings["WorkingDir"] = stage.workdir
    if labels or "Labels" in settings:
        settings["Labels"] = {**settings.get("Labels", {}), **labels}
    config = _json(
        {
            "architecture": architecture.partition("/")[0],
            "os": system,
            "created": CREATED,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [_descriptor(LAYER_TAR, layer) for layer in layers],
        }
    )
    blobs = {_digest(blob): blob for blob in (*layers, config, manifest)}
    return BuiltImage(_digest(manifest), blobs, tuple(dict.fromkeys(not_performed)))


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
