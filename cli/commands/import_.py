"""Bring a model that serves elsewhere as the first champion: judged and released like any other, and not trained here.

Takes a file of XGBoost or LightGBM, a skops file, or a folder of MLflow that holds one of these. The file is copied
into the model's folder, and model.toml says that it was imported, by whom and from where. So do evidence and verdicts.

The model's folder has to be there: `lockgate new` makes it. Its train.py waits for the first challenger.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from cli.context import find_root
from cli.git import GitError, git
from cli.model_file import model_file
from cli.terminal import show, whole
from lockgate import canonical
from lockgate.configuration.imported import imported_format
from lockgate.errors import ConfigError, RefusedError

EXAMPLE = "lockgate import employment --model model.ubj"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of the model's folder below model/")
    parser.add_argument(
        "--model", required=True, type=Path, metavar="FILE", help="the model's file, or MLflow's folder"
    )
    parser.add_argument("--source", help="where it serves today, for whoever reads the evidence (the file's name)")
    parser.add_argument("--by", help="who brings it (git's user.email)")


def run(arguments: argparse.Namespace) -> int:
    root = find_root(Path.cwd())
    folder = root / "model" / arguments.name
    declared = folder / "model.toml"
    if not declared.is_file():
        expected = "a declared model: `lockgate new` makes one from rows"
        raise ConfigError(f"model/{arguments.name}", "model.toml", "no such file", expected)
    text = declared.read_text(encoding="utf-8")
    if "\n[imported]" in f"\n{text}":
        raise RefusedError(f"model/{arguments.name}/model.toml: found [imported], expected none: remove it first")
    file, ending = model_file(arguments.model)
    kept = folder / f"imported.{ending}"
    said = {
        "file": kept.name,
        "sha256": canonical.sha256(file.read_bytes()),
        "by": arguments.by or _user(root),
        "source": arguments.source or arguments.model.name,
    }
    shutil.copyfile(file, kept)
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
    note = "# Trained elsewhere. `train` is not called; without this table it is, and trains the first challenger."
    declared.write_text("\n".join([text.rstrip("\n"), "", note, "[imported]", *lines, ""]), encoding="utf-8")
    show(
        f"model/{arguments.name}/{kept.name}: a model of {imported_format(kept.name)}, not trained here",
        "nobody here can know which rows it was trained on: a holdout that it has seen flatters it, so take rows that "
        "are later than its training",
        "next:",
        whole(f"  lockgate try {arguments.name}"),
        whole(f"  git add model/{arguments.name} && git commit"),
    )
    return 0


def _user(root: Path) -> str:
    try:
        return git(root, "config", "user.email").decode().strip()
    except GitError:
        raise RefusedError("--by: found neither it nor git's user.email, expected who brings the model") from None
