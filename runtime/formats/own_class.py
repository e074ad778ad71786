"""A class of the team's own with `save(folder)` and `load(folder)`: the way for everything that no library saves.

`load` is called on the class. Whether two trainings give equal bytes is in the hands of `save`: no time, no random
name. The class is code of this image, so model.json only names it, and names nothing outside the model's own folder.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from lockgate.configuration.model import Model
from lockgate.errors import ConfigError, EvidenceError

NAME, LIBRARIES = "class", ()
FOLDER = "saved/"


def takes(estimator: Any, model: Model) -> bool:
    kind = type(estimator)
    return (
        kind.__module__.startswith(f"model.{model.name}.")
        and "<locals>" not in kind.__qualname__
        and callable(getattr(kind, "save", None))
        and callable(getattr(kind, "load", None))
    )


def save(estimator: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    kind = type(estimator)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        estimator.save(folder)
        files = {each.relative_to(folder).as_posix(): each.read_bytes() for each in _files(folder)}
    if not files:
        where = f"{kind.__module__.replace('.', '/')}.py"
        raise ConfigError(where, f"{kind.__qualname__}.save", "no file", "at least one file in the folder it is given")
    facts = {"module": kind.__module__, "class": kind.__qualname__}
    return facts, {f"{FOLDER}{name}": content for name, content in files.items()}


def load(facts: Mapping[str, Any], files: Mapping[str, bytes], model: Model) -> Any:
    module, name = facts.get("module"), facts.get("class")
    if not isinstance(module, str) or not isinstance(name, str) or not module.startswith(f"model.{model.name}."):
        raise EvidenceError(f"model.json: format: found {dict(facts)!r}, expected a class of model/{model.name}/")
    kind = reduce(getattr, name.split("."), importlib.import_module(module))
    with tempfile.TemporaryDirectory() as made:
        for each, content in files.items():
            if each.startswith(FOLDER):
                file = Path(made) / each.removeprefix(FOLDER)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        return kind.load(Path(made))


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())
