"""scikit-learn's estimators and pipelines as skops writes them, which is never pickle.

Two trainings that give equal estimators give equal bytes: what skops takes from the process (object addresses, the time
of day) is replaced by running numbers and a fixed date.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lockgate.configuration.model import Model
from lockgate.errors import EvidenceError

NAME, LIBRARIES = "scikit-learn", ("numpy", "pandas", "scikit-learn", "skops")
FILE = "model.skops"
# A partial function is as good as the function in it, which is looked at by itself.
TRUSTED = ("sklearn.", "numpy.", "scipy.", "functools.partial")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date a zip file can have


def takes(estimator: Any, model: Model) -> bool:
    """Also a class of the model's own folder that is made as scikit-learn's are: `BaseEstimator` is its parent."""
    from sklearn.base import BaseEstimator

    own = type(estimator).__module__.startswith(("sklearn.", f"model.{model.name}."))
    return own and isinstance(estimator, BaseEstimator)


def save(estimator: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    import skops.io

    return {}, {FILE: normalised(skops.io.dumps(estimator))}


def load(facts: Mapping[str, Any], files: Mapping[str, bytes], model: Model) -> Any:
    """Types of scikit-learn, NumPy and SciPy, and of the model's own folder, are trusted; no other.

    Who could write a file with a forged tree of scikit-learn, which may crash the process, could write any other model
    as well: the release pins the digest of the archive, which was compared before anything here is read. The types are
    a second wall: code that is neither in these libraries nor in this image is not run by loading.
    """
    import skops.io

    saved = files[FILE]
    try:
        types = skops.io.get_untrusted_types(data=saved)
        foreign = [name for name in types if not name.startswith((*TRUSTED, f"model.{model.name}."))]
        if not foreign:
            return skops.io.loads(saved, trusted=types)
    except Exception as error:  # skops raises whatever a damaged or forged file makes it stumble over
        raise EvidenceError(f"{FILE}: found no skops file: {type(error).__name__}: {error}"[:500]) from error
    raise EvidenceError(
        f"{FILE}: found {', '.join(foreign)}, expected only types of scikit-learn, NumPy, SciPy and model/{model.name}/"
    )


def normalised(saved: bytes) -> bytes:
    """A skops file with object addresses replaced by numbers in order of appearance, and without dates."""
    with zipfile.ZipFile(io.BytesIO(saved)) as source:
        schema = json.loads(source.read("schema.json"))
        contents = {name: source.read(name) for name in source.namelist() if name != "schema.json"}
    names: dict[str, str] = {}
    _renumber(schema, {}, names)
    files = {names[name]: content for name, content in contents.items()}
    files["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
    return target.getvalue()


def _renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Walk skops' tree in order; `numbers` and `names` collect what each address and file name became."""
    if isinstance(node, list):
        for child in node:
            _renumber(child, numbers, names)
    if not isinstance(node, dict):
        return
    if "__id__" in node:
        node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
    file = node.get("file")
    if isinstance(file, str):
        node["file"] = names.setdefault(file, f"{len(names)}{PurePosixPath(file).suffix}")
    for child in node.values():
        _renumber(child, numbers, names)
