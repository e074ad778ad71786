"""The little that Lockgate asks of git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lockgate.errors import LockgateError


def git(root: Path, *arguments: str) -> bytes:
    """Standard output of a git command in `root`. Raises LockgateError with git's own words."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise LockgateError("git: not installed, or not on PATH") from None
    if done.returncode:
        raise LockgateError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def commit_of(root: Path, revision: str) -> str:
    """The full hash of a revision."""
    return git(root, "rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
