"""What a reviewer must know, one by one, with how much depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Risk(IntEnum):
    """LOW is worth knowing; MEDIUM wants a look; HIGH can lose data, open a door or switch off a guard."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def word(self) -> str:
        return self.name.lower()


# Topics in the order in which they are shown.
TOPICS = {
    "replacement": "Replaced and deleted",
    "access": "Access widened",
    "network": "Network opened",
    "protection": "Protection weakened",
    "alarm": "Alarms and guards removed",
    "policy": "Policy",
    "model": "Policies of models",
    "release": "Releases",
}


@dataclass(frozen=True)
class Finding:
    """One thing to know. `where` is a stack or a file, `what` a logical id or a key, `text` the rest in words."""

    risk: Risk
    topic: str
    where: str
    what: str
    text: str


@dataclass(frozen=True)
class Fold:
    """Everything else about a stack: how many resources were added, changed and removed, and which."""

    stack: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """Findings, the gravest first within each topic, and what was folded."""

    findings: tuple[Finding, ...]
    folded: tuple[Fold, ...]

    @property
    def risk(self) -> Risk | None:
        return max((finding.risk for finding in self.findings), default=None)


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    topics = list(TOPICS)
    return tuple(sorted(set(findings), key=lambda f: (topics.index(f.topic), -f.risk, f.where, f.what, f.text)))
