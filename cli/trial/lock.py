"""What a model's modules import that model/requirements.lock lacks: the image of a commit has nothing else."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

OURS = ("lockgate", "runtime")  # what an image has beside its lock
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.M)


def missing_from_lock(
    wanted: Mapping[str, str], lock: str, installed: Mapping[str, Sequence[str]], versions: Mapping[str, str]
) -> list[str]:
    """Sentences, one for each import that the image would not have, or would have in another version.

    wanted: module -> what imports it. installed: module -> the distributions that bring it here; versions: of those.
    """
    pins = {normal(name): version for name, version in PIN.findall(lock)}
    found = []
    for module, where in sorted(wanted.items()):
        names = [normal(name) for name in installed.get(module, ())]
        locked = [name for name in names or [normal(module)] if name in pins]
        if not locked:
            brought = f" of {' or '.join(sorted(set(names)))}" if names else ""
            found.append(
                f"{where} imports {module}{brought}, which model/requirements.lock lacks: name it in "
                "model/requirements.in, and `make lock`"
            )
        found += [
            f"{where} imports {module}: {name} {versions[name]} is here, model/requirements.lock has {pins[name]}"
            for name in locked
            if name in versions and versions[name] != pins[name]
        ]
    return found


def imports_of(folder: Path, model: str) -> dict[str, str]:
    """Modules that no standard library has -> the first file that imports each, of a model and what it shares."""
    found: dict[str, str] = {}
    waiting, seen = [folder / model], set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for name in _imported(file):
                first, *more = name.split(".")
                if first == "model" and more and more[0] != model:
                    shared = folder / more[0]
                    waiting.append(shared if shared.is_dir() else shared.with_suffix(".py"))
                elif first not in (*OURS, "model") and first not in sys.stdlib_module_names:
                    found.setdefault(first, file.relative_to(folder.parent).as_posix())
    return found


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(file: Path) -> Iterator[str]:
    if not file.is_file():
        return
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module == "model":
                yield from (f"model.{alias.name}" for alias in node.names)
