"""What the promotion workflow takes, and what it and its functions say to each other: one type for each message.

The workflow is written in a language of its own (constructs/lockgate_constructs/promotion_workflow.py), so that a test
compares what it passes with these types. An environment may be deployed later than tools: a message with a field that
its reader does not know yet is read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from lockgate import canonical, schema
from lockgate.configuration.model import NAME
from lockgate.errors import RefusedError
from lockgate.release.parameters import JudgedRelease, Release, read_version
from lockgate.schema import Document

M = TypeVar("M")


class Promotion(Document):
    """The workflow's input: which version walks through the environments."""

    model: str
    """The model's name."""
    version: str
    """The model package's version."""
    package_arn: str
    """Its ARN in the registry."""
    environment: str | None = None
    """The one environment that a break-glass goes to."""
    break_glass: str | None = None
    """The break-glass, by reference."""

    def to_text(self) -> str:
        return canonical.to_bytes(schema.write(self)).decode()


class OfVersion(Document):
    """A message, or a person's call, about a version of a model in an environment.

    Raises RefusedError where these are none.
    """

    model: str
    """The model's name."""
    version: str
    """The model package's version."""
    environment: str
    """Name of the environment."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        read_version(self.version)

    @property
    def number(self) -> int:
        return int(self.version)


class GateRequest(OfVersion):
    """The gate is asked about a package."""

    package_arn: str
    """Its ARN in the registry."""
    break_glass: str | None = None
    """The break-glass that asks, by reference; the workflow says "" where none does."""
    dry_run: bool = False
    """Whether nothing is recorded or spent."""


class Rows(Document):
    """Where the rows lie that evaluation recorded."""

    bucket: str
    """S3 bucket."""
    key: str
    """Key of replay.json."""


class ModelDataSource(Document):
    """Where the model data lies that a gate let through, and the recorded rows beside it."""

    bucket: str
    """S3 bucket."""
    key: str
    """Key of model.tar.gz."""
    version_id: str
    """S3's version of the object."""
    replay: Rows
    """The recorded rows."""


class GateAnswer(Document):
    """What the gate answers; only a version that is let through has a release and its source."""

    outcome: Literal["passed", "inconclusive", "failed", "error"]
    """The verdict's outcome, or "passed" of a break-glass."""
    verdict_id: str
    """The verdict, or the break-glass, by reference."""
    approvals: int
    """How many persons must approve."""
    release: JudgedRelease | None
    """What is let through."""
    source: ModelDataSource | None
    """Where it is copied from."""


class ApprovalAsked(OfVersion):
    """A release waits for persons."""

    verdict_id: str
    """The verdict that passed, by reference."""
    task_token: str
    """Step Functions' token with which an answer wakes the workflow."""
    execution: str | None = None
    """Name of the workflow's execution; one that began before an update does not say."""
    action: Literal["request-approval"] = "request-approval"
    """What the controller does of all that it can."""


class DecisionAsked(OfVersion):
    """The ledger is asked what persons decided, since whoever holds a task token may wake the workflow."""

    verdict_id: str
    """The verdict that passed, by reference."""
    action: Literal["decision"] = "decision"
    """What the controller does of all that it can."""


class DeployRequest(Document):
    """The deploy function is asked to begin a promotion, how it is getting on, or to stop it."""

    action: Literal["start", "status", "stop"]
    """What is asked."""
    model: str
    """The model's name."""
    release: JudgedRelease
    """What the gate let through."""
    source: ModelDataSource
    """Where it is copied from."""
    token: str
    """One for each attempt: letters, digits and dashes, a letter first, 128 at most. CloudFormation takes the same
    token again for the same request and does nothing."""
    approvals: str = ""
    """The approvals that the release has, by reference, with spaces between them."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)
        read_version(self.release.version)


class OperatorRequest(Document):
    """The deploy function is asked for a rollback or a restore; its own journal says where to."""

    action: Literal["rollback", "restore"]
    """What is asked."""
    model: str
    """The model's name."""
    person: str
    """Name of the operator's session."""
    user_arn: str
    """The ARN of the session that signed, as AWS gave it."""
    reason: str
    """Why, in the operator's words."""
    token: str
    """One for each attempt."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)


class StatusRequest(Document):
    """The deploy function is asked how an operator's attempt is getting on."""

    action: Literal["status"]
    """What is asked."""
    model: str
    """The model's name."""
    token: str
    """Of the attempt."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)


class LookRequest(Document):
    """The environment's own schedule: is there an end that nobody waits for, or an attempt past its deadline?"""

    action: Literal["look"]
    """What is asked."""
    model: str
    """The model's name."""

    def __post_init__(self) -> None:
        refuse_unless_model(self.model)


class Ending(Document):
    """How an attempt ended, as the workflow heard it last; a call that failed has a reason and nothing else."""

    reason: str
    """What the environment said, or the error of the call."""
    release: Release | None = None
    """What the stack pins."""
    url: str | None = None
    """Where the model answers."""
    place: int | None = None
    """Number of the end in the environment's journal."""


class EndingRecorded(OfVersion):
    """The ledger is told how a deployment ended."""

    execution: str
    """Name of the workflow's execution."""
    outcome: Literal["succeeded", "failed"]
    """How it ended."""
    release: JudgedRelease
    """What was wanted."""
    deployment: Ending
    """What the environment said last."""
    action: Literal["record"] = "record"
    """What the controller does of all that it can."""


def read_message(kind: type[M], event: Mapping[str, Any]) -> M:
    """The message as its type. Raises RefusedError."""
    return schema.read(kind, dict(event), "event", RefusedError, strict=False)


def refuse_unless_model(name: str) -> None:
    if not NAME.fullmatch(name):
        raise RefusedError(f"model: found {name!r}, expected a model's name")
