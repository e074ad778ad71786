"""model.json: what a trained model is, and whether files are of the model that this image declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lockgate import canonical
from lockgate.configuration.model import Model
from lockgate.errors import EvidenceError

SCHEMA = "lockgate.model/3"
WALKER, ENCODED, ESTIMATOR = "walker", "last step on encoded columns", "estimator"  # engines, fastest first
WALKER_FILE = "walker.bin"


def declared(model: Model) -> dict[str, Any]:
    """The part that model.toml decides. Categories are part of it: the walker knows them by their place."""
    return {
        "schema": SCHEMA,
        "model": model.name,
        "target": model.target.meaning,
        "features": [
            {"name": feature.name, "type": feature.type, "values": list(feature.values)} for feature in model.features
        ],
    }


def refuse_other_model(facts: Mapping[str, object], model: Model, files: Mapping[str, bytes]) -> None:
    """Raises EvidenceError unless the files belong together and fit this image's model.toml."""
    engine, digests = facts.get("engine"), facts.get("sha256")
    walks = isinstance(engine, dict) and engine.get("name") == WALKER
    names = sorted({"model.json", *(digests if isinstance(digests, dict) else ()), *([WALKER_FILE] if walks else [])})
    if sorted(files) != names:
        raise EvidenceError(f"model: found the files {sorted(files)}, expected {' and '.join(names)}")
    found = {name: canonical.sha256(files[name]) for name in names if name != "model.json"}
    for key, value in {**declared(model), "sha256": found}.items():
        if canonical.to_bytes({key: facts.get(key)}) != canonical.to_bytes({key: value}):  # True is no 1
            raise EvidenceError(f"model.json: {key}: found {facts.get(key)!r}, expected {value!r}")
