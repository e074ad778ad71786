"""What an environment itself remembers of its releases, so that it can go back while the tools account is away.

A fact is written once, by the deploy function: "started" before a promotion changes anything, "asked" when a person
asked for a rollback or a restore, "deployment" when a deployment ended. The facts of a model are numbered from 1 in
the order they happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lockgate import canonical
from lockgate.errors import LedgerError, RefusedError
from lockgate.ledger.records import Entry
from lockgate.release.parameters import Release, read_release

SCHEMA = "lockgate.journal/1"

Kind = Literal["started", "asked", "deployment"]
KINDS: tuple[Kind, ...] = ("started", "asked", "deployment")
Action = Literal["rollback", "restore"]


@dataclass(frozen=True)
class Fact:
    """token: the attempt the fact belongs to; time: UTC, ISO 8601.

    body of "started": release (whole), deadline_minutes (as configured then; not in older facts).
    body of "asked": action, person, user_arn, reason, url, from (release or null), to (release), mode (of the update),
    deadline_minutes.
    body of "deployment": outcome "succeeded" or "failed", reason, url, release (whole).
    """

    sequence: int
    time: str
    kind: Kind
    token: str
    body: Mapping[str, Any]

    @property
    def succeeded(self) -> bool:
        return self.kind == "deployment" and self.body["outcome"] == "succeeded"

    def to_bytes(self) -> bytes:
        return canonical.to_bytes({"schema": SCHEMA, **asdict(self), "body": dict(self.body)})


def read_fact(data: bytes) -> Fact:
    """Raises LedgerError when bytes are not an entry."""
    document = canonical.from_bytes(data, "journal entry")
    if document.pop("schema", None) != SCHEMA or document.get("kind") not in KINDS:
        raise LedgerError(f"journal entry: found {document}, expected {SCHEMA}")
    return Fact(**document)


def find(entries: Sequence[Fact], kind: Kind, token: str) -> Fact | None:
    """The first fact of a kind about an attempt."""
    return next((entry for entry in entries if (entry.kind, entry.token) == (kind, token)), None)


def open_attempt(entries: Sequence[Fact]) -> Fact | None:
    """What was begun last and has no end yet: whoever waited for it may have died."""
    begun = [entry for entry in entries if entry.kind != "deployment"]
    if not begun or find(entries, "deployment", begun[-1].token):
        return None
    return begun[-1]


def last(entries: Sequence[Fact]) -> Release:
    """The release whose deployment succeeded last. Raises RefusedError when there is none."""
    done = [entry for entry in entries if entry.succeeded]
    if not done:
        raise RefusedError("restore: no release has ever been live here: nothing to restore")
    return read_release(done[-1].body["release"])


def previous(entries: Sequence[Fact], live: Release) -> Release:
    """What to go back to: the last release promoted before the live one, but none that was rolled back from.

    Raises RefusedError when there is none.
    """
    asked = {entry.token for entry in entries if entry.kind == "asked"}
    promoted = [
        read_release(entry.body["release"]) for entry in entries if entry.succeeded and entry.token not in asked
    ]
    places = [place for place, release in enumerate(promoted) if release.verdict_id == live.verdict_id]
    before = promoted[: places[-1]] if places else promoted
    bad = {entry.body["from"]["verdict_id"] for entry in _rollbacks(entries)}
    left = [release for release in before if release.verdict_id not in bad | {live.verdict_id}]
    if not left:
        raise RefusedError(
            f"rollback: version {live.version} is live, and no release before it is left to go back to: "
            "each was rolled back from, or none was live here"
        )
    return left[-1]


def refuse_if_rolled_back(entries: Sequence[Fact], verdict_id: str, version: str) -> None:
    """Raises RefusedError when somebody rolled back from the release that this verdict let through."""
    for entry in _rollbacks(entries):
        if entry.body["from"]["verdict_id"] == verdict_id:
            raise RefusedError(
                f"version {version} was rolled back from at {entry.time} by {entry.body['person']} "
                f"({entry.body['reason']}): it needs a new verdict: deliver its commit with --again"
            )


def _rollbacks(entries: Sequence[Fact]) -> list[Fact]:
    return [entry for entry in entries if entry.kind == "asked" and entry.body["action"] == "rollback"]


def to_ledger(facts: Sequence[Fact], environment: str) -> list[Entry]:
    """What the ledger has to know of an environment's journal, in order; the ids are those that promotions give.

    A rollback is about the version that was rolled back from, a restore about the one restored.
    """
    entries = {"asked": _asked, "deployment": _ended}
    return [entries[fact.kind](fact, environment) for fact in facts if fact.kind in entries]


def _asked(fact: Fact, environment: str) -> Entry:
    action, before, wanted = fact.body["action"], fact.body["from"], fact.body["to"]
    body = {
        **{name: fact.body[name] for name in ("person", "user_arn", "reason")},
        "from": before and before["version"],
        "to": wanted["version"],
        "verdict_id": (before or wanted)["verdict_id"],
        "at": fact.time,
        "place": fact.sequence,
    }
    version = int(before["version"] if action == "rollback" else wanted["version"])
    return Entry(action, f"{action}:{environment}:{fact.token}", version, environment, body)


def _ended(fact: Fact, environment: str) -> Entry:
    # A workflow's token is <execution>-<environment>; its record has the execution.
    execution = fact.token.removesuffix(f"-{environment}")
    outcome, release = fact.body["outcome"], fact.body["release"]
    body = {
        **{name: fact.body[name] for name in ("outcome", "release", "url", "reason")},
        "at": fact.time,
        "place": fact.sequence,
    }
    entry_id = f"deployment:{release['version']}:{environment}:{execution}:{outcome}"
    return Entry("deployment", entry_id, int(release["version"]), environment, body)
