"""Which format a file of a model has that was trained elsewhere, by its first bytes and never by opening it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from lockgate.errors import RefusedError

PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle")
# A pickle's own first bytes, and those of the compressed files that joblib writes around one.
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x1f\x8b", b"\x78\x9c", b"BZh", b"\xfd7zXZ")
CONVERT = (
    "reading it here would run whatever code is in it. On the machine that trained it, in its own environment: "
    "`python -c \"import joblib, skops.io; skops.io.dump(joblib.load('{name}'), 'model.skops')\"`, or save_model() of "
    "XGBoost, or booster_.save_model() of LightGBM"
)
WANTED = (
    "a file of XGBoost (.ubj, .json) or LightGBM (.txt), a .skops file, or a folder of MLflow that holds one of these"
)


def model_file(path: Path) -> tuple[Path, str]:
    """The file, and the ending that model.toml knows it by. Of a folder, the one file in it that is a model.

    Raises RefusedError for a pickle, with how it is converted, and for what is nothing known.
    """
    if path.is_dir():
        found = [(each, ending) for each in sorted(path.rglob("*")) if each.is_file() and (ending := ending_of(each))]
        if len(found) == 1:
            return found[0]
        for each in sorted(path.rglob("*")) if not found else ():
            if each.is_file():
                _refuse_pickle(each)
        names = ", ".join(each.name for each, _ in found) or "no model"
        raise RefusedError(f"--model {path}: found {names}, expected one of: {WANTED}")
    if not path.is_file():
        raise RefusedError(f"--model {path}: found no such file, expected {WANTED}")
    _refuse_pickle(path)
    if not (ending := ending_of(path)):
        raise RefusedError(f"--model {path}: found {path.stat().st_size} bytes of something else, expected {WANTED}")
    return path, ending


def ending_of(file: Path) -> str:
    """ubj, json, txt or skops; "" for everything else."""
    with file.open("rb") as opened:
        first = opened.read(4096)
    if first.startswith(b"tree\nversion="):
        return "txt"
    if first.startswith(b"{") and b"learner" in first:  # a JSON object, or UBJSON's, which begins the same
        return "json" if first.lstrip(b"{ \n\r\t").startswith(b'"') else "ubj"
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return "skops" if "schema.json" in archive.namelist() else ""
    return ""


def _refuse_pickle(file: Path) -> None:
    with file.open("rb") as opened:
        first = opened.read(8)
    if file.name.lower().endswith(PICKLE_ENDINGS) or first.startswith(PICKLED):
        raise RefusedError(f"--model {file}: found a pickle: {CONVERT.format(name=file.name)}")
