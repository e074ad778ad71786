"""The little that Lockgate asks of git."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lockgate.configuration.model import Model, read_model
from lockgate.errors import ConfigError, LockgateError, NotFoundError, RefusedError

MODEL_FOLDER = "model"
# What a build leaves out; BuildKit takes the first that there is.
IGNORED = ("model/Dockerfile.dockerignore", ".dockerignore")


class GitError(LockgateError):
    """A git command said no; the message has what was asked and its words."""


def git(root: Path, *arguments: str) -> bytes:
    """Standard output of a git command in `root`. Raises GitError with git's own words, and what to do."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise LockgateError("git: found no such program, expected it on PATH: install it") from None
    if done.returncode:
        asked, said = " ".join(arguments), " ".join(done.stderr.decode(errors="replace").split())
        raise GitError(
            f"asked `git {asked}` in {root}: found {said!r}, expected an answer: check that this is a clone of the "
            "project that has the commit (`git fetch --unshallow` brings its whole history)"
        )
    return done.stdout


@dataclass(frozen=True)
class Relation:
    """How a commit stands to another one, by git's graph: commits that only the one has, and only the other.

    known: False where this clone does not have the other commit, so that nothing can be said.
    """

    ahead: int = 0
    behind: int = 0
    known: bool = True

    @property
    def older(self) -> bool:
        """Whether the commit is an ancestor of the other, and not the same."""
        return self.known and self.behind > 0 and self.ahead == 0

    def __str__(self) -> str:
        if not self.known:
            return "not in this clone"
        if not self.ahead and not self.behind:
            return "the same commit"
        parts = [f"{count} {word}" for count, word in ((self.ahead, "ahead"), (self.behind, "behind")) if count]
        return f"{' and '.join(parts)}{': another branch of history' if len(parts) == 2 else ''}"


def relation(root: Path, commit: str, other: str) -> Relation:
    """How `commit` stands to `other`, both full hashes."""
    if not (_has(root, commit) and _has(root, other)):
        return Relation(known=False)
    ahead, behind = git(root, "rev-list", "--left-right", "--count", f"{commit}...{other}").split()
    return Relation(int(ahead), int(behind))


def relation_where_known(root: Path, commit: str, other: str) -> Relation:
    """The same. Raises RefusedError where the clone was cut off, so that it cannot tell."""
    stands = relation(root, commit, other)
    if not stands.known and is_shallow(root):
        raise RefusedError(
            f"commit {commit[:12]}: {other[:12]}, with which it is compared, was cut off of this clone: fetch the "
            "whole history (`git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout), or say --older"
        )
    return stands


def is_shallow(root: Path) -> bool:
    """Whether the clone was cut off, so that it may lack commits that are there."""
    return git(root, "rev-parse", "--is-shallow-repository").strip() == b"true"


def models_of(root: Path, commit: str) -> tuple[str, ...]:
    """The models that a commit has: its folders model/<name>/ with a model.toml, sorted."""
    files = git(root, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "model/").decode().split("\0")
    return tuple(sorted(parts[1] for file in files if len(parts := file.split("/")) == 3 and parts[2] == "model.toml"))


def declared_model(root: Path, commit: str, model: str) -> Model | None:
    """What a commit's model.toml declares; None where this version of Lockgate cannot read it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / model
        folder.mkdir()
        try:
            for file in ("model.toml", "train.py"):
                (folder / file).write_bytes(git(root, "show", f"{commit}:{MODEL_FOLDER}/{model}/{file}"))
            return read_model(folder)
        except (ConfigError, GitError):
            return None  # its training says what is wrong, in the words of the commit's own version


def image_files(root: Path, commit: str, model: str) -> dict[str, str]:
    """What of a commit is in an image and can change one model: each path with git's id of the file or folder.

    These are the entries of the tree that the build is given, by its list of ignored files. Of model/ they are all but
    the folders of other models, and this model's policy, by which it is judged and not made. Where the list does not
    say plainly what it lets through, everything counts.
    """
    roots, own = _roots_of_build(root, commit), f"{MODEL_FOLDER}/{model}"
    listed = _listed(root, commit, *(f"{folder}/" for folder in (MODEL_FOLDER, own)))
    left_out = {MODEL_FOLDER, f"{own}/policy.toml", *(f"{MODEL_FOLDER}/{name}" for name in models_of(root, commit))}
    return {
        path: found
        for path, found in {**_listed(root, commit), **listed}.items()
        if path not in left_out and (roots is None or path.split("/")[0] in roots)
    }


def _listed(root: Path, commit: str, *paths: str) -> dict[str, str]:
    """The entries of a folder of a commit's tree, with their modes and ids."""
    entries = git(root, "ls-tree", "-z", "--full-tree", commit, *paths).decode(errors="backslashreplace").split("\0")
    described = (entry.partition("\t") for entry in entries if entry)
    return {path: " ".join(about.split()) for about, _, path in described}


def _roots_of_build(root: Path, commit: str) -> frozenset[str] | None:
    """The top-level entries that a build of the commit can see, with its list of ignored files; None for all.

    Plain is a list that ignores everything first and then names what is let through (`*`, `!model`).
    """
    for file in IGNORED:
        if _listed(root, commit, file):
            lines = git(root, "show", f"{commit}:{file}").decode(errors="replace").splitlines()
            break
    else:
        return None
    stated = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    named = [line[1:].lstrip("/").split("/")[0] for line in stated if line.startswith("!")]
    if stated[:1] != ["*"] or any(not name or set(name) & set("*?[\\") for name in named):
        return None
    return frozenset((*named, file))


def _has(root: Path, commit: str) -> bool:
    asked = ["git", "-C", str(root), "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def commit_of(root: Path, revision: str) -> str:
    """The full hash of a revision. Raises NotFoundError for what is no commit."""
    try:
        return git(root, "rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    except GitError as error:
        where = f"a commit of the repository in {root}; `git fetch` brings those of others"
        raise NotFoundError(f"revision: found {revision!r}, expected {where}") from error
