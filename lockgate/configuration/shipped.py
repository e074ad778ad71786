"""Where this release keeps what it brings beside its Python packages: in the checkout, or in an installed wheel.

A wheel holds these files as they lie in the repository, in one folder, so that none of their names meets another
package's (docs/decisions/0023-a-dependency.md).
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = "lockgate_app"
_AROUND = Path(__file__).resolve().parents[2]
INSTALLED = (_AROUND / PACKAGE / "runtime").is_dir()
HOME = _AROUND / PACKAGE if INSTALLED else _AROUND


def shipped(name: str) -> Path:
    """A file or folder of this release, by its path in the repository."""
    return (_AROUND if name == "lockgate" else HOME) / name


def place(root: Path, name: str) -> Path:
    """The same, or what the project in `root` has in its place."""
    own = root / name
    return own if own.exists() else shipped(name)
