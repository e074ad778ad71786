"""What the embedded AWS only wrote down and did not perform. The demo prints this list; nothing hides in it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

_lock = threading.Lock()
_notes: dict[str, set[str]] = {}
_file: Path | None = None


def keep_in(file: Path) -> None:
    """Write every note to `file` from now on, so that another process can print the list."""
    global _file
    _file = file
    _write()


def note(service: str, what: str) -> None:
    """Record once that `service` accepted `what` without doing it."""
    with _lock:
        known = _notes.setdefault(service, set())
        if what in known:
            return
        known.add(what)
    _write()


def notes() -> dict[str, list[str]]:
    with _lock:
        return {service: sorted(known) for service, known in sorted(_notes.items())}


def _write() -> None:
    if _file is not None:
        _file.parent.mkdir(parents=True, exist_ok=True)
        _file.write_text(json.dumps(notes(), indent=2) + "\n")
