"""Folders of model/ as an image would have them: of the working tree, or of a commit to compare with."""

from __future__ import annotations

import io
import shutil
import tarfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from cli.git import MODEL_FOLDER, GitError, commit_of, git
from lockgate.errors import ConfigError, NotFoundError

# Keys of model.toml that only a person can decide, and what stands for each until then.
UNDECIDED = {"owner": '"undecided"', "intended_use": '"undecided"', "protected": "[]"}


def base_commit(root: Path, against: str | None, branch: str) -> str | None:
    """The commit that a branch began at: its merge base with `against`, or with the project's branch.

    None where nothing was asked for and this clone has neither the branch nor a remote's. Raises NotFoundError.
    """
    for revision in [against] if against else [f"origin/{branch}", branch]:
        try:
            return git(root, "merge-base", "HEAD", revision).decode().strip()
        except GitError:
            continue
    if against:
        commit_of(root, against)
        raise NotFoundError(f"--against: found {against!r}, expected a commit that this branch has an ancestor with")
    return None


def changed_files(root: Path, commit: str) -> tuple[str, ...]:
    """The files below model/ that the working tree has otherwise than a commit, committed or not."""
    changed = git(root, "diff", "--name-only", "-z", commit, "--", MODEL_FOLDER)
    new = git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", MODEL_FOLDER)
    return tuple(sorted({file for file in (changed + new).decode().split("\0") if file}))


def changed_models(files: Iterable[str], models: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Of `models`, those that changed files belong to: all, where a file is in the folder of no known model."""
    folders = [file.split("/")[1] for file in files]
    shared = any(folder not in known for folder in folders)
    return tuple(name for name in models if shared or name in folders)


def without_policies(files: Iterable[str]) -> tuple[str, ...]:
    """A policy judges a recipe and is no part of it."""
    return tuple(file for file in files if file.split("/")[2:] != ["policy.toml"])


def write_app(app: Path, packages: Iterable[Path]) -> None:
    """What an image has beside model/: this Lockgate's own packages, with their bytecode, so that they start fast."""
    for package in packages:
        shutil.copytree(package, app / package.name)


def write_models(root: Path, commit: str | None, model: str, app: Path) -> tuple[str, ...]:
    """model/ of the working tree or of a commit, without other models; the keys that nobody decided yet.

    Those get a value there, so that a model can be tried before its owner is known.
    """
    if commit is None:
        shutil.copytree(root / MODEL_FOLDER, app / MODEL_FOLDER, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        packed = git(root, "archive", "--format=tar", commit, MODEL_FOLDER)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(app, filter="data")
    for file in (app / MODEL_FOLDER).glob("*/model.toml"):
        if file.parent.name != model:
            shutil.rmtree(file.parent)
    file = app / MODEL_FOLDER / model / "model.toml"
    if not file.is_file():
        raise ConfigError(f"{MODEL_FOLDER}/{model}", "model.toml", "no such file", "the folder of a model")
    text, undecided = decided(file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    return undecided


def decided(text: str) -> tuple[str, tuple[str, ...]]:
    """A model.toml with a value for each key that `lockgate new` leaves to a person, and which those are."""
    try:
        known = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return text, ()  # whoever reads it says what is wrong
    undecided = tuple(key for key in UNDECIDED if key not in known)
    return "".join(f"{key} = {UNDECIDED[key]}\n" for key in undecided) + text, undecided
