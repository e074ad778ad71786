"""What a registry's scanner found in an image, as readings that a policy's rule can require.

Basic and enhanced scanning of ECR answer alike here: a status, and how many findings there are of each severity.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from lockgate.errors import LockgateError
from lockgate.gate.readings import Reading
from lockgate.policy.rules import SEVERITIES, scan_findings

# Enhanced scanning's word for what has no severity yet, which basic scanning calls UNDEFINED.
UNTRIAGED = "untriaged"
FINISHED = ("COMPLETE", "ACTIVE")  # ACTIVE: enhanced scanning goes on for as long as the image is kept
RUNNING = ("IN_PROGRESS", "PENDING", "NONE")
WITHIN = timedelta(minutes=30)


class PendingError(LockgateError):
    """A scan has not ended and may still; the same again later finds more."""


class ImageScan(NamedTuple):
    """status: as ECR says it, NONE where it knows of no scan; counts: severity in lower case -> findings.

    pushed: when the image came, UTC, ISO 8601.
    """

    status: str
    description: str
    counts: Mapping[str, int]
    pushed: str

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def refuse_while_running(self, digest: str, now: str) -> None:
        """Raises PendingError while its end is worth waiting for: it has not ended, and its time is not up."""
        if self.status in RUNNING and _age(self.pushed, now) < WITHIN:
            raise PendingError(f"scan of {digest}: {self.status}; it is waited for until {WITHIN} after the push")

    def readings(self) -> dict[str, Reading]:
        """For each severity, how many findings are at least as bad; not known where no scan has ended."""
        said = f"scan {self.status}: {self.description}"
        if not self.finished:
            return {scan_findings(severity): Reading(None, said) for severity in SEVERITIES}
        counts = {SEVERITIES[-1] if name == UNTRIAGED else name: count for name, count in self.counts.items()}
        # A severity that nobody here has heard of may be any, so it counts as the worst.
        total = sum(count for name, count in counts.items() if name not in SEVERITIES)
        found = {}
        for severity in SEVERITIES:
            total += counts.get(severity, 0)
            found[scan_findings(severity)] = Reading(float(total), f"findings of severity {severity} or worse; {said}")
        return found


def _age(pushed: str, now: str) -> timedelta:
    return datetime.fromisoformat(now) - datetime.fromisoformat(pushed)
