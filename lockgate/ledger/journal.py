"""What an environment itself remembers of its releases, so that it can go back while the tools account is away.

A fact is written once, by the deploy function: "started" before a promotion changes anything, "asked" when a person
asked for a rollback or a restore, "deployment" when a deployment ended. The facts of a model are numbered from 1 in
the order they happened. As for records, names and meanings stay, and a new field gets a default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, assert_never, get_args

from lockgate import canonical, schema
from lockgate.errors import EvidenceError, LedgerError, RefusedError
from lockgate.ledger import kinds
from lockgate.ledger.records import ADVICE, Entry
from lockgate.release.advice import deliver_again
from lockgate.release.parameters import Release
from lockgate.schema import Document

SCHEMA = "lockgate.journal/1"

Kind = Literal["started", "asked", "deployment"]
Action = Literal["rollback", "restore"]


class Started(Document):
    """A promotion began; nothing was changed yet."""

    KIND: ClassVar[Kind] = "started"

    release: Release
    """What it leads to."""
    deadline_minutes: int | None = None
    """The environment's deadline at that time; facts of before there was one do not say."""


class Asked(Document):
    """A person asked for a rollback or a restore; nothing was changed yet."""

    KIND: ClassVar[Kind] = "asked"

    action: Action
    """What was asked for."""
    person: str
    """Name of the operator's session."""
    user_arn: str
    """The ARN of the session that signed, as AWS gave it."""
    reason: str
    """Why, in the operator's words."""
    url: str
    """Where the model answers."""
    from_: Release | None
    """What the stack pinned; null where it pinned nothing."""
    to: Release
    """What it leads to."""
    mode: str | None = None
    """How the update sends traffic (lockgate.release.parameters.MODES); older facts mean at once."""
    deadline_minutes: int | None = None
    """The environment's deadline at that time; facts of before there was one do not say."""


class Ended(Document):
    """A deployment ended."""

    KIND: ClassVar[Kind] = "deployment"

    outcome: kinds.Ending
    """How it ended."""
    reason: str
    """What CloudFormation and ECS said."""
    url: str
    """Where the model answers."""
    release: Release
    """What is live after a success, and what was wanted after a failure."""


FactBody: TypeAlias = Started | Asked | Ended
KINDS: Mapping[str, type[FactBody]] = {body.KIND: body for body in get_args(FactBody)}
F = TypeVar("F", bound=FactBody, covariant=True)
K = TypeVar("K", bound=FactBody)


@dataclass(frozen=True)
class Fact(Generic[F]):
    """token: the attempt the fact belongs to; time: UTC, ISO 8601."""

    sequence: int
    time: str
    token: str
    body: F

    @property
    def kind(self) -> Kind:
        return self.body.KIND

    def to_bytes(self) -> bytes:
        head = {"schema": SCHEMA, "sequence": self.sequence, "time": self.time, "kind": self.kind, "token": self.token}
        return canonical.to_bytes({**head, "body": schema.write(self.body)})


Facts: TypeAlias = Sequence[Fact[FactBody]]


@dataclass(frozen=True)
class _StoredFact:
    """A fact as it is stored, before its body is read as its kind's."""

    schema: str
    sequence: int
    time: str
    kind: str
    token: str
    body: Any


def read_fact(data: bytes) -> Fact[FactBody]:
    """Raises LedgerError when bytes are not a fact."""
    try:
        stored = canonical.from_bytes(data, "journal entry")
    except EvidenceError as error:
        raise LedgerError(str(error)) from error
    if stored.get("schema") != SCHEMA:
        raise LedgerError(f"journal entry: found schema {stored.get('schema')!r}, expected {SCHEMA!r}: {ADVICE}")
    document = schema.read(_StoredFact, stored, "journal entry", LedgerError, ADVICE)
    if document.kind not in KINDS:
        raise LedgerError(f"journal entry: found kind {document.kind!r}, expected one of {', '.join(KINDS)}: {ADVICE}")
    where = f"journal entry {document.sequence}, {document.kind}"
    body: FactBody = schema.read(KINDS[document.kind], document.body, where, LedgerError, ADVICE)
    return Fact(document.sequence, document.time, document.token, body)


def of(facts: Facts, kind: type[K]) -> list[Fact[K]]:
    """The facts of a kind, in order."""
    return [fact for fact in facts if isinstance(fact.body, kind)]  # type: ignore[misc]  # not narrowed by its body


def find(facts: Facts, kind: type[K], token: str) -> Fact[K] | None:
    """The first fact of a kind about an attempt."""
    return next((fact for fact in of(facts, kind) if fact.token == token), None)


def open_attempt(facts: Facts) -> Fact[Started | Asked] | None:
    """What was begun last and has no end yet: whoever waited for it may have died."""
    begun = [fact for fact in facts if not isinstance(fact.body, Ended)]
    if not begun or find(facts, Ended, begun[-1].token):
        return None
    return begun[-1]  # type: ignore[return-value]  # not narrowed by its body


def last(facts: Facts) -> Release:
    """The release whose deployment succeeded last. Raises RefusedError when there is none."""
    done = _succeeded(facts)
    if not done:
        raise RefusedError("restore: no release has ever been live here: nothing to restore")
    return done[-1].body.release


def previous(facts: Facts, live: Release) -> Release:
    """What to go back to: the last release promoted before the live one, but none that was rolled back from.

    Raises RefusedError when there is none.
    """
    asked = {fact.token for fact in of(facts, Asked)}
    promoted = [fact.body.release for fact in _succeeded(facts) if fact.token not in asked]
    places = [place for place, release in enumerate(promoted) if release.verdict_id == live.verdict_id]
    before = promoted[: places[-1]] if places else promoted
    bad = {_rolled_back_from(fact) for fact in _rollbacks(facts)}
    left = [release for release in before if release.verdict_id not in bad | {live.verdict_id}]
    if not left:
        raise RefusedError(
            f"rollback: version {live.version} is live, and no release before it is left to go back to: "
            "each was rolled back from, or none was live here"
        )
    return left[-1]


def refuse_if_rolled_back(facts: Facts, verdict_id: str, version: str) -> None:
    """Raises RefusedError when somebody rolled back from the release that this verdict let through."""
    for fact in _rollbacks(facts):
        if _rolled_back_from(fact) == verdict_id:
            raise RefusedError(
                f"version {version} was rolled back from at {fact.time} by {fact.body.person} "
                f"({fact.body.reason}): it needs a new verdict: {deliver_again(_commit_of(fact))}"
            )


def why_used(facts: Facts, break_glass: str, token: str) -> str:
    """Why a break-glass lets no further attempt in: another one began with it; "" where none did."""
    for fact in of(facts, Started):
        if fact.body.release.verdict_id == break_glass and fact.token != token:
            return f"{break_glass}: found that attempt {fact.token} used it, expected a break-glass for one attempt"
    return ""


def _succeeded(facts: Facts) -> list[Fact[Ended]]:
    return [fact for fact in of(facts, Ended) if fact.body.outcome == "succeeded"]


def _rollbacks(facts: Facts) -> list[Fact[Asked]]:
    return [fact for fact in of(facts, Asked) if fact.body.action == "rollback"]


def _commit_of(fact: Fact[Asked]) -> str | None:
    """The commit of what was rolled back from."""
    return fact.body.from_.commit if fact.body.from_ else None


def _rolled_back_from(fact: Fact[Asked]) -> str:
    """The verdict of the release that a rollback took away; a rollback from nothing is refused, so there is one."""
    return fact.body.from_.verdict_id if fact.body.from_ else ""


def to_ledger(facts: Facts, environment: str) -> list[Entry[kinds.ReleaseBody]]:
    """What the ledger has to know of an environment's journal, in order; the ids are those that promotions give.

    A rollback is about the version that was rolled back from, a restore about the one restored.
    """
    entries: list[Entry[kinds.ReleaseBody]] = []
    for fact in facts:
        match fact.body:
            case Started():
                continue
            case Asked():
                entries.append(_asked(fact, fact.body, environment))
            case Ended():
                entries.append(_ended(fact, fact.body, environment))
            case _:
                assert_never(fact.body)
    return entries


def _asked(fact: Fact[FactBody], asked: Asked, environment: str) -> Entry[kinds.Rollback | kinds.Restore]:
    kind = kinds.Rollback if asked.action == "rollback" else kinds.Restore
    subject = (asked.from_ if asked.action == "rollback" else None) or asked.to
    body = kind(
        person=asked.person,
        user_arn=asked.user_arn,
        reason=asked.reason,
        from_=asked.from_.version if asked.from_ else None,
        to=asked.to.version,
        verdict_id=(asked.from_ or asked.to).verdict_id,
        at=fact.time,
        place=fact.sequence,
    )
    return Entry(kind.id(environment, fact.token), int(subject.version), environment, body)


def _ended(fact: Fact[FactBody], ended: Ended, environment: str) -> Entry[kinds.Deployment]:
    body = kinds.Deployment(
        outcome=ended.outcome,
        release=ended.release,
        url=ended.url,
        reason=ended.reason,
        at=fact.time,
        place=fact.sequence,
    )
    version = ended.release.version
    entry_id = kinds.Deployment.id(version, environment, execution_of(fact.token, environment), ended.outcome)
    return Entry(entry_id, int(version), environment, body)


def execution_of(token: str, environment: str) -> str:
    """How the ledger names an attempt: by the workflow's execution, whose token is <execution>-<environment>; an
    operator's by its token.
    """
    return token.removesuffix(f"-{environment}")
