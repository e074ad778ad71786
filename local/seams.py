"""What we rebind in the emulator (ministack), and what its sources were when we did: an upgrade says what moved.

`seams.toml` is the whole list. `rebind` and `wrap` are the only way in which modules of `local` change the emulator,
and they take no name that is not listed. `check` compares every listed source with its digest before the first
rebinding.

A name is a module of the emulator without "ministack.", an attribute, and keys in brackets where the attribute is a
table: `services.alb._ACTION_MAP[RegisterTargets]`.

`python -m local.seams` prints the digests that have to be renewed.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ABSENT = "absent"


class Seam(NamedTuple):
    """One name that we rebind.

    digest: of the sources that the emulator has under this name; `ABSENT` where it has nothing, and we add something.
    by: the modules that rebind it. Where there are several, each builds on those before it.
    """

    digest: str
    by: tuple[str, ...]


class MovedError(Exception):
    """The emulator's sources are not those that our replacements were written for."""


class UnlistedError(Exception):
    """A module rebinds a name of the emulator that `seams.toml` does not list for it, or not in this order."""


def _read(file: Path) -> dict[str, Seam]:
    sections: dict[str, dict[str, list[str]]] = tomllib.loads(file.read_text())
    return {
        f"{module}.{name}": Seam(digest, tuple(f"local.{ours}" for ours in by))
        for module, names in sections.items()
        for name, (digest, *by) in names.items()
    }


SEAMS: Mapping[str, Seam] = _read(Path(__file__).with_suffix(".toml"))

# Who has rebound what in this process, in order.
rebound: dict[str, list[str]] = {}


def handler_of(kind: str) -> str:
    """The name of what makes, changes and deletes CloudFormation resources of a type."""
    return f"services.cloudformation.provisioners._RESOURCE_HANDLERS[{kind}]"


def rebind(name: str, replacement: Any) -> None:
    """Put `replacement` where the emulator has `name`, which is a function, a text, or an entry of a table."""
    _rebind(name, replacement, _caller())


def wrap(name: str, wrapper: Callable[[Any], Any]) -> None:
    """Put `wrapper` of what is there now where the emulator has `name`."""
    table, key = _place(name)
    _rebind(name, wrapper(table[key]), _caller())


def _rebind(name: str, replacement: Any, module: str) -> None:
    by = SEAMS[name].by if name in SEAMS else ()
    if module not in by:
        raise UnlistedError(f"{module} rebinds {name} of the emulator: local/seams.toml must list it")
    before = rebound.setdefault(name, [])
    if later := [each for each in before if by.index(each) > by.index(module)]:
        raise UnlistedError(
            f"{module} rebinds {name} of the emulator after {later[0]}; local/seams.toml says before it: "
            "change the order of EXTENSIONS in local/server.py, or what the table says"
        )
    before.append(module)
    table, key = _place(name)
    table[key] = replacement


def _caller() -> str:
    """The module that called `rebind` or `wrap`."""
    return str(sys._getframe(2).f_globals["__name__"])


def check(seams: Mapping[str, Seam] = SEAMS) -> None:
    """Raise MovedError, which names every seam whose sources moved. Call it before the first rebinding."""
    moved = [f"  {name}: {_where(name)}; see {', '.join(seams[name].by)}" for name in moved_of(seams)]
    if moved:
        raise MovedError(
            "\n".join(
                [
                    f"{len(moved)} of {len(seams)} names of the emulator that we rebind are no longer what they were:",
                    *moved,
                    "For each, read what the emulator does there now, and adapt the module that rebinds it.",
                    "Then renew its digest in local/seams.toml: `python -m local.seams` prints the new ones.",
                    "If you upgraded nothing, install what is pinned: `make setup`.",
                ]
            )
        )


def moved_of(seams: Mapping[str, Seam] = SEAMS) -> list[str]:
    """Names whose sources have another digest than the table's."""
    return [name for name, seam in seams.items() if digest(name) != seam.digest]


def digest(name: str) -> str:
    """Digest of the sources under a name; `ABSENT` where there is nothing."""
    value = _value(name)
    return ABSENT if value is None else hashlib.sha256(_source(value).encode()).hexdigest()[:12]


def _source(value: Any) -> str:
    """The source of a function; of a table, the sources of all its values; of anything else, what it is."""
    if inspect.ismodule(value):
        return value.__name__
    if callable(value):
        return inspect.getsource(value)
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_source(value[key])}" for key in sorted(value))
    return repr(value)


def _where(name: str) -> str:
    """File and line of what is under a name now."""
    value = _value(name)
    if value is None:
        return "gone"
    functions = [each for each in (value.values() if isinstance(value, dict) else [value]) if callable(each)]
    if not functions:
        return "not a function"
    code = inspect.unwrap(functions[0]).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _value(name: str) -> Any:
    """What the emulator has under a name; None if there is nothing."""
    try:
        table, key = _place(name)
    except (ImportError, KeyError):
        return None
    return table.get(key)


def _place(name: str) -> tuple[dict[str, Any], str]:
    """The table that holds a name, and its key there: the last in brackets, or the attribute in the module's names."""
    path, *keys = name.rstrip("]").replace("][", "[").split("[")
    module, _, key = path.rpartition(".")
    table = vars(importlib.import_module(f"ministack.{module}"))
    for inner in keys:
        table, key = table[key], inner
    return table, key


def main() -> None:
    for name in moved_of():
        sys.stdout.write(f"{name}: {SEAMS[name].digest} is now {digest(name)} ({_where(name)})\n")


if __name__ == "__main__":
    main()
