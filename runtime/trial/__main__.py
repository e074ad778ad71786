"""`python3 -m runtime.trial TASK`: in an image's folder, what `lockgate try` asks of one recipe.

TASK is a folder with `task.json` and `rows.parquet`. What was found is written beside them: `found.json`, and
predictions with the places of their rows in `out-of-fold.npz`. A recipe that is compared with another finds that one's
`folds.npz` there. Nothing is asked of a holdout.
"""

from __future__ import annotations

import json
import linecache
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lockgate.configuration.model import Model
from lockgate.errors import DataContractError, LockgateError
from runtime import commit
from runtime.columns import read_columns
from runtime.contract import refuse_broken_target
from runtime.folds import FOLDS, Fold, folds_of
from runtime.trial.cross_validation import cross_validated, rows_that_fit
from runtime.trial.edges import unanswered
from runtime.trial.sample import sampled
from runtime.trial.steps import run_steps

FOLDS_FILE = "folds.npz"
ENOUGH = 20_000  # rows for a model that is not trained here


def main(folder: Path) -> int:
    """0, also where the recipe failed: `found.json` then says how."""
    asked = json.loads((folder / "task.json").read_text())
    _only_this_folder()
    try:
        with threadpool_limits(limits=1):  # as in the step `train`
            found = _recipe(folder, asked) if (folder / FOLDS_FILE).is_file() else _whole(folder, asked)
    except Exception as error:
        found = {"error": _told(error)}
    (folder / "found.json").write_text(json.dumps(found))
    return 0


def _only_this_folder() -> None:
    """`model` is a namespace, into which another folder on the path would bring modules that no image of this has."""
    alone = ModuleType("model")
    alone.__path__ = [str(commit.FOLDER)]
    sys.modules["model"] = alone


def _whole(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The recipe of this branch: cross-validation, then the real steps with the last fold as their holdout.

    A model that was trained elsewhere may have seen any of these rows, so that only the steps are run.
    """
    model = commit.declared_model(asked["model"])
    table = read_columns(folder / "rows.parquet", "train")
    if model.imported:
        sample = table.take(sampled(table, model, asked["rows"] or ENOUGH))
        return _steps({"rows": sample.num_rows}, sample, folds_of(sample, model)[-1], model)
    team = commit.training_module(model)
    fits = asked["fits"] + (FOLDS if model.threshold and model.threshold.by != "value" else 0)
    rows = asked["rows"] or rows_that_fit(table, model, team.train, fits=fits, seconds=asked["seconds"])
    places = sampled(table, model, rows)
    sample = table.take(places)
    _refuse_lacking(sample, model)
    chosen = folds_of(sample, model)
    np.savez(folder / FOLDS_FILE, sample=places, **_named(chosen))
    start = time.perf_counter()
    predicted = cross_validated(sample, model, team.train, chosen)
    np.savez(folder / "out-of-fold.npz", places=predicted.places, predictions=predicted.predictions)
    found: dict[str, Any] = {"rows": sample.num_rows, "seconds_of_a_fit": (time.perf_counter() - start) / len(chosen)}
    return _steps(found, sample, chosen[-1], model)  # forward in time the last fold has the most rows


def _steps(found: dict[str, Any], sample: Any, fold: Fold, model: Model) -> dict[str, Any]:
    """What was found so far, with what the real steps make of one fold, and the saved model of rows at edges."""
    fitted_on, other = fold
    try:
        with tempfile.TemporaryDirectory() as root:
            files, evidence = run_steps(Path(root), sample.take(fitted_on), sample.take(other), model)
    except Exception as error:
        return {**found, "steps": _told(error)}
    row = sample.select([feature.name for feature in model.features]).slice(0, 1).to_pylist()[0]
    asked_rows, wrong = unanswered(files, _as_request(row), model)
    sizes = {name: len(content) for name, content in files.items()}
    return {**found, "sizes": sizes, "evidence": evidence.decode(), "edges": {"rows": asked_rows, "wrong": wrong}}


def _recipe(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Another recipe on the same rows in the same folds."""
    model = commit.declared_model(asked["model"])
    table = read_columns(folder / "rows.parquet", "train")
    given = np.load(folder / FOLDS_FILE)
    sample = table.take(given["sample"])
    count = (len(given.files) - 1) // 2
    chosen: list[Fold] = [(given[f"fitted_on_{each}"], given[f"other_{each}"]) for each in range(count)]
    refuse_broken_target(sample, model, "train", every=True)
    predicted = cross_validated(sample, model, commit.training_module(model).train, chosen)
    np.savez(folder / "out-of-fold.npz", places=predicted.places, predictions=predicted.predictions)
    return {"rows": sample.num_rows}


def _refuse_lacking(sample: Any, model: Model) -> None:
    try:
        refuse_broken_target(sample, model, f"a sample of {sample.num_rows} rows", every=True)
    except DataContractError as error:
        raise DataContractError(f"{error}; a larger one may have each: --rows") from error


def _named(chosen: list[Fold]) -> dict[str, Any]:
    return {
        f"{part}_{place}": fold[which]
        for place, fold in enumerate(chosen)
        for which, part in enumerate(("fitted_on", "other"))
    }


def _as_request(row: dict[str, Any]) -> dict[str, Any]:
    """Days and moments as the texts that a caller sends."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


def _told(error: Exception) -> dict[str, Any]:
    """An error with the lines of the team's own files that led to it, the last one last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    lines = []
    for frame in frames:
        name = Path(frame.filename).resolve().relative_to(commit.FOLDER.parent)
        lines += [
            f"{name}:{frame.lineno} in {frame.name}",
            f"  {linecache.getline(frame.filename, frame.lineno or 0).strip()}",
        ]
    said = str(error) if isinstance(error, LockgateError) else f"{type(error).__name__}: {error}"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return {"said": said, "lines": lines, "missing": missing}


def _is_own(file: str) -> bool:
    return Path(file).resolve().is_relative_to(commit.FOLDER)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
