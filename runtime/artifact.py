"""A trained model as files: model.skops (the estimator, never pickle), walker.bin (the same for the compiled walker,
if that serves it) and model.json (what it is, and which engine serves it).

Two trainings that give equal estimators give equal bytes: what skops takes from the process (object addresses, the
time of day) is replaced by running numbers and a fixed date.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from lockgate import canonical
from lockgate.configuration.model import Model
from lockgate.errors import EvidenceError
from runtime import model_json

if TYPE_CHECKING:
    import pandas as pd

LIBRARIES = ("numpy", "pandas", "scikit-learn", "skops")
# A partial function is as good as the function in it, which is looked at by itself.
TRUSTED = ("sklearn.", "numpy.", "scipy.", "functools.partial")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date a zip file can have


class Estimator(Protocol):
    """What a team's `train` returns."""

    def predict_proba(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Rows x 2: the probabilities of target 0 and 1."""


def write_artifact(
    estimator: Estimator, model: Model, engine: Mapping[str, Any], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """File name -> bytes, equal for equal estimators. engine, files: what `engines.choose` found."""
    import skops.io

    saved = {"model.skops": normalised(skops.io.dumps(estimator)), **files}
    facts = {
        **model_json.declared(model),
        "target": model.target,
        "parameters": dict(model.parameters),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "engine": dict(engine),
        "sha256": {name: canonical.sha256(content) for name, content in saved.items()},
    }
    return {**saved, "model.json": canonical.to_bytes(facts)}


def read_artifact(files: Mapping[str, bytes], model: Model) -> Estimator:
    """The estimator, if the files belong together, fit this image's model.toml, and hold no foreign type.

    Types of scikit-learn, NumPy and SciPy, and of the model's own folder, are trusted; no other. Who could write a file
    with a forged tree of scikit-learn, which may crash the process, could write any other model as well: the release
    pins the digest of the archive, which was compared before anything here is read. The types are a second wall: code
    that is neither in these libraries nor in this image is not run by loading. Raises EvidenceError.
    """
    import skops.io

    model_json.refuse_other_model(canonical.from_bytes(files.get("model.json", b"{}"), "model.json"), model, files)
    saved = files["model.skops"]
    try:
        types = skops.io.get_untrusted_types(data=saved)
        foreign = [name for name in types if not name.startswith((*TRUSTED, f"model.{model.name}."))]
        if not foreign:
            return cast(Estimator, skops.io.loads(saved, trusted=types))
    except Exception as error:  # skops raises whatever a damaged or forged file makes it stumble over
        raise EvidenceError(f"model.skops: found no skops file: {type(error).__name__}: {error}"[:500]) from error
    raise EvidenceError(
        f"model.skops: found {', '.join(foreign)}, expected only types of scikit-learn, NumPy, SciPy and "
        f"model/{model.name}/"
    )


def score(estimator: Any, rows: Any) -> npt.NDArray[np.float64]:
    """What a model answers, as float64: the probability of target 1 for each row.

    Of a classifier with more classes, a row of probabilities; of a regressor, its prediction.
    """
    if not hasattr(estimator, "predict_proba"):
        return np.ascontiguousarray(estimator.predict(rows), dtype=np.float64)
    found = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    return np.ascontiguousarray(found[:, 1] if found.shape[1] == 2 else found)


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
