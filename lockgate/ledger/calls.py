"""What persons and workflow runs say over Function URLs, and what they are answered: one type for each call.

Who says it is who signed, never a field. A body has its type's fields and no others, so that nobody believes to have
said what is not heard; the command line makes its bodies from the same types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from lockgate import schema
from lockgate.errors import RefusedError
from lockgate.ledger.infrastructure import State
from lockgate.ledger.kinds import Ending
from lockgate.release.workflow import OfVersion, refuse_unless_model
from lockgate.schema import Document

C = TypeVar("C")
TOKEN = re.compile(r"[a-z0-9]{8,64}", re.ASCII)
OPERATORS_TOKEN = re.compile(r"(rollback|restore)-[a-z0-9-]{8,64}", re.ASCII)
SNAPSHOT = re.compile(r"[0-9a-f]{16}", re.ASCII)
ASSEMBLY = re.compile(r"[0-9a-f]{64}", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
RUN = re.compile(r"[0-9]{1,20}\.[0-9]{1,6}", re.ASCII)


class Decide(OfVersion):
    """A person approves or rejects a release that waits."""

    decision: Literal["approve", "reject"]
    """What is decided."""
    reason: str
    """Why; it may be empty in an approval."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_rejection_without_reason(self.decision, self.reason)


class Waive(OfVersion):
    """A person lets one rule go for a version."""

    rule: str
    """The rule's name in the policy."""
    reason: str
    """Why."""
    expires: str
    """The last day, YYYY-MM-DD."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_blank("reason", self.reason, "why, for the record")


class RecordHoldout(Document):
    """A person records the holdout of a snapshot as fresh."""

    model: str
    """The model's name."""
    snapshot: str
    """The snapshot's id."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        _refuse_unlike(SNAPSHOT, "snapshot", self.snapshot, "the 16 digits of a snapshot's id")


class ChooseSnapshot(Document):
    """A person chooses the snapshot that trainings use from now on."""

    model: str
    """The model's name."""
    snapshot: str
    """The snapshot's id."""
    reason: str
    """Why."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        _refuse_unlike(SNAPSHOT, "snapshot", self.snapshot, "the 16 digits of a snapshot's id")
        _refuse_blank("reason", self.reason, "why, for the record")


class Acknowledge(Document):
    """A person has looked at a break-glass that another caused."""

    model: str
    """The model's name."""
    sequence: int
    """The number of its record."""
    reason: str
    """What was found out."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        _refuse_blank("reason", self.reason, "what was found out, for the record")


class Retire(Document):
    """A person retires a model."""

    model: str
    """The model's name."""
    reason: str
    """Why."""
    cut_off: bool
    """Whether it may serve still, so that its callers get no answer any more."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        _refuse_blank("reason", self.reason, "why, for the record")


class BreakTheGlass(OfVersion):
    """A person puts a version into an environment past its gate and approvals."""

    reason: str
    """Why."""
    token: str
    """One for each attempt: the same again is the same record and the same execution."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_blank("reason", self.reason, "why, for the record")
        _refuse_unlike(TOKEN, "token", self.token, "8 to 64 small letters and digits")


class OfAssembly(Document):
    """A call about the stacks of an environment, of tools or of anchor."""

    environment: str
    """Whose stacks."""
    assembly: str
    """Digest of what `cdk synth` wrote."""

    def __post_init__(self) -> None:
        _refuse_unlike(ASSEMBLY, "assembly", self.assembly, "64 hexadecimal digits")


class OfRun(OfAssembly):
    """A workflow run says it."""

    commit: str
    """Git commit, 40 hexadecimal digits."""
    run: str
    """Id and attempt of the run, such as 17.1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_unlike(COMMIT, "commit", self.commit, "40 hexadecimal digits")
        _refuse_unlike(RUN, "run", self.run, "run id and attempt, such as 17.1")


class LookAtStacks(OfRun):
    """A workflow run asks where its stacks stand; nothing is asked of anybody."""

    ask: Literal["look"]
    """Which call it is."""


class BeginStacks(OfRun):
    """A workflow run asks whether it may deploy."""

    ask: Literal["begin"]
    """Which call it is."""


class EndStacks(OfRun):
    """A workflow run says how its deployment ended."""

    ask: Literal["end"]
    """Which call it is."""
    outcome: Ending
    """How it ended."""
    reason: str
    """Why it failed; empty after a success."""


class DecideOnStacks(OfAssembly):
    """A person approves or rejects stacks that wait."""

    ask: Literal["approve", "reject"]
    """What is decided."""
    reason: str
    """Why; it may be empty in an approval."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_rejection_without_reason(self.ask, self.reason)


class Operate(Document):
    """An operator asks for a rollback or a restore."""

    action: Literal["rollback", "restore"]
    """What is asked for."""
    model: str
    """The model's name."""
    reason: str
    """Why."""
    token: str
    """One for each attempt; it begins with the action."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        _refuse_blank("reason", self.reason, "why, for the record")
        _refuse_unlike(OPERATORS_TOKEN, "token", self.token, "rollback-… or restore-…")


class AskStatus(Document):
    """An operator asks how an attempt is getting on."""

    action: Literal["status"]
    """What is asked for."""
    model: str
    """The model's name."""
    token: str
    """Of the attempt."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        _refuse_unlike(OPERATORS_TOKEN, "token", self.token, "rollback-… or restore-…")


class Recorded(Document):
    """The answer to what was recorded."""

    message: str
    """What a person reads."""
    record: str
    """The record, by reference."""
    execution: str | None = None
    """Name of the execution of the workflow that a break-glass started."""
    decision: str | None = None
    """What was decided, where something was."""
    person: str | None = None
    """Who decided."""
    commit: str | None = None
    """The commit of the version that was decided."""
    live_commit: str | None = None
    """The commit of what the environment serves, where it serves something."""


class StacksStand(Document):
    """The answer to a workflow run that asks whether it may deploy."""

    state: State
    """Where the assembly stands; only "approved" may be deployed."""
    approvals: int
    """How many persons are asked."""
    deployed: str | None
    """The commit that was deployed last; null where none was."""
    request: str | None = None
    """The request for approval, by reference, where there is one."""
    approved_by: tuple[str, ...] | None = None
    """Who approved it."""
    reason: str | None = None
    """What the deciding person said."""


def read_call(kind: type[C], body: Mapping[str, Any]) -> C:
    """The body as its type. Raises RefusedError."""
    return schema.read(kind, dict(body), "body", RefusedError)


def _refuse_blank(field: str, text: str, what: str) -> None:
    if not text.strip():
        raise RefusedError(f"{field}: found nothing, expected text: {what}")


def _refuse_rejection_without_reason(decision: str, reason: str) -> None:
    if decision == "reject" and not reason.strip():
        raise RefusedError("reason: found nothing, expected text; a rejection says why")


def _refuse_unlike(form: re.Pattern[str], field: str, found: str, expected: str) -> None:
    if not form.fullmatch(found):
        raise RefusedError(f"{field}: found {found!r}, expected {expected}")
