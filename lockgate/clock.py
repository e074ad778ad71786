"""The time, and how long to wait before a question is asked again: the one place where the project's code reads them.

It is the machine's, unless LOCKGATE_CLOCK names a file that tells another, as a test of long waits needs it.
LOCKGATE_POLL_SECONDS says how soon an answer may have changed, where that is sooner than usual.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


def now() -> datetime:
    """UTC."""
    file = os.environ.get("LOCKGATE_CLOCK")
    if not file:
        return datetime.now(UTC)
    how, seconds = Path(file).read_text().split()  # `ahead 3600.0` of the machine's clock, or `held <a moment>`
    if how == "held":
        return datetime.fromtimestamp(float(seconds), UTC)
    return datetime.now(UTC) + timedelta(seconds=float(seconds))


def machine() -> datetime:
    """UTC by the machine's own clock, which judges signatures also where a file tells another time."""
    return datetime.now(UTC)


def pause(seconds: float) -> None:
    """Wait before the next look at something that goes on elsewhere."""
    time.sleep(min(seconds, float(os.environ.get("LOCKGATE_POLL_SECONDS") or seconds)))
