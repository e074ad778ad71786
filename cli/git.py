"""The little that Lockgate asks of git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lockgate.errors import LockgateError, NotFoundError


class GitError(LockgateError):
    """A git command said no; the message has its words."""


def git(root: Path, *arguments: str) -> bytes:
    """Standard output of a git command in `root`. Raises GitError with git's own words."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise LockgateError("git: not installed, or not on PATH") from None
    if done.returncode:
        raise GitError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def commit_of(root: Path, revision: str) -> str:
    """The full hash of a revision. Raises NotFoundError for what is no commit."""
    try:
        return git(root, "rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    except GitError as error:
        where = f"a commit of the repository in {root}; `git fetch` brings those of others"
        raise NotFoundError(f"revision: found {revision!r}, expected {where}") from error
