"""What the ledger keeps: one type for each kind of record, with its fields and the id of its fact.

These types are the format of a store that is kept for years. Names and meanings stay; a new field gets a default, so
that the bytes of older records stay what they are (lockgate.schema). Where a field says nothing else, it is there since
0.1. Times are UTC, ISO 8601, with milliseconds; digests are SHA-256, in small hexadecimal digits; references name
another record of the same chain as `<model>/<sequence>`.

An id names a fact, so that the same fact again is the same record. Each type makes its own in `id`, and nobody takes an
id apart elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from lockgate.evidence.document import Data
from lockgate.evidence.provenance import Origin
from lockgate.release.parameters import JudgedRelease, Release
from lockgate.schema import Document
from lockgate.statistics.budget import Budget, Feedback, Level

Kind = Literal[
    "verdict",
    "approval-request",
    "approval",
    "rejection",
    "deployment",
    "waiver",
    "holdout",
    "snapshot-choice",
    "rollback",
    "restore",
    "break-glass",
    "acknowledgement",
    "retirement",
]
Outcome = Literal["passed", "inconclusive", "failed", "error"]
Ending = Literal["succeeded", "failed"]


class Body(Document):
    """What every kind of record has beside its own fields: nothing but the name of its kind."""

    KIND: ClassVar[Kind]


class Request(Body):
    """Persons are asked to approve something."""

    KIND = "approval-request"

    approvals: int
    """How many different persons must approve."""


class Said(Body):
    """A person said something, with a proof that STS took."""

    person: str
    """The person's name in `[persons]` of environments/tools.toml; of an operator, the name of the session."""
    user_arn: str
    """The ARN of the session that signed, as AWS gave it."""
    reason: str
    """Why, in the person's words; it may be empty in an approval."""
    nonce: str | None = None
    """That of the proof with which STS said who signed; the same proof again is this record; since 0.2."""


class Answer(Said):
    """A person's answer to a request."""

    request: str
    """The request that is answered, by reference."""


class Approving(Answer):
    """A person agrees."""

    KIND = "approval"


class Rejecting(Answer):
    """A person does not agree; one is enough to end a request."""

    KIND = "rejection"


# Of a model's chain


class Reason(Document):
    """What one rule of a policy says."""

    rule: str
    """The rule's name in the policy; "lineage", "holdout" and the like where the evidence was not judged."""
    outcome: Outcome
    """The rule's own outcome."""
    message: str
    """The numbers it is based on, in words."""
    dry_run: bool = False
    """Whether the rule is only tried: it is told and decides nothing."""


class Scan(Document):
    """What the registry's scanner found in the image."""

    status: str
    """As ECR says it; NONE where it knows of no scan."""
    counts: Mapping[str, int]
    """Severity in small letters -> number of findings."""


class Source(Document):
    """Where the model data lies that was judged."""

    bucket: str
    """S3 bucket."""
    key: str
    """Key of model.tar.gz."""
    version_id: str
    """S3's version of the object."""


class Number(Document):
    """A metric of the evidence."""

    value: float
    """The metric."""
    rows: int
    """Of how many holdout rows."""
    statistics: Mapping[str, float]
    """The sums that it was computed from."""


class Served(Document):
    """The champion: what the last environment served when the decision was made, by this chain."""

    version: int
    """Model package version."""
    model_sha256: str
    """Digest of its model.tar.gz."""
    image: str
    """Its image, with digest."""
    since: str
    """When its deployment was recorded."""


class Verdict(Body):
    """A gate decided about a version. Null means that it is not known, since it could not be verified."""

    KIND = "verdict"

    outcome: Outcome
    """The worst outcome of the rules that decide; only "passed" lets the version on."""
    reasons: tuple[Reason, ...]
    """What each rule said."""
    policy_sha256: str
    """Digest of the environment's policy."""
    approvals: int
    """How many persons must approve before the deployment."""
    package_arn: str
    """ARN of the model package that was asked about."""
    commit: str | None
    """Git commit, 40 hexadecimal digits."""
    image: str | None
    """The commit's image, with digest."""
    actor: str | None
    """Who delivered, as the delivery said; nobody relies on it."""
    execution: str | None
    """ARN of the training pipeline's execution."""
    snapshot: str | None
    """Id of the data snapshot."""
    model_sha256: str | None
    """Digest of model.tar.gz."""
    evidence_sha256: str | None
    """Digest of the evidence."""
    evidence_uri: str | None
    """Where the evidence lies, s3://…"""
    delivered_by: str | None
    """ARN of the session that started the training, as AWS says."""
    scan: Scan | None
    """The scan of the image, where the policy asks for one."""
    origin: Origin | None
    """What the signed statements about the image say."""
    evaluator_image: str | None
    """Image of the evaluator that measured, with digest."""
    source: Source | None
    """Where the model data lies."""
    replay_sha256: str | None
    """Digest of the rows with predictions that new tasks must answer alike."""
    metrics: Mapping[str, Number]
    """Metric -> its number; empty where the evidence was not believed."""
    data: Data | None
    """The rows that training and evaluation used, by digest."""
    features: tuple[str, ...] | None
    """Names of the features, in order."""
    parameters: Mapping[str, Any] | None
    """What training says that it used; nobody relies on it."""
    champion: Served | None
    """What was served; null where nothing was."""
    holdout_sha256: str | None
    """Digest of the holdout's labels, of which this decision spent; null where it looked at no row."""
    alpha: float | None
    """The probability of error that the decision was made at; null where it looked at no row."""
    spent_before: int | None
    """How many decisions were made on this holdout before."""
    holdout: int | None
    """The holdout's number among those of the model, from 1."""
    budget: Budget | None
    """The policy's budget at that time; null under simple assurance, since 0.2."""
    feedback: Feedback
    """What authors may learn of the decision; "numbers" since 0.2."""
    break_glass: str | None = None
    """Reference of the break-glass that asked, where one did: the policy was not asked."""
    contents_sha256: str | None = None
    """Digest of what is in model.tar.gz; since 0.2."""
    decision: str | None = None
    """Digest of what makes two decisions the same one (lockgate.gate.decision); null where none was made; since 0.2."""
    same_as: str | None = None
    """The verdict that made this decision first, by reference; this one spends nothing of the holdout; since 0.2."""
    assurance: Level = "budget"
    """What the policy promises: "simple" (this decision at the error alpha) or "budget"; since 0.2."""

    @staticmethod
    def id(version: int, environment: str, policy_sha256: str, package_arn: str, waiver: int) -> str:
        """Another policy or a newer waiver asks anew; another package under the same version is another fact."""
        return f"verdict:{version}:{environment}:{policy_sha256[:16]}:{package_arn}:{waiver}"

    @staticmethod
    def id_behind(version: int, environment: str, break_glass: str) -> str:
        """Of the error that keeps a break-glass out; break_glass: its reference."""
        return f"verdict:{version}:{environment}:break-glass:{break_glass.rpartition('/')[2]}"


class ApprovalRequest(Request):
    """A promotion waits for persons to approve a version for an environment."""

    task_token: str
    """Step Functions' token with which an answer wakes the workflow."""
    execution: str | None = None
    """Name of the workflow's execution; a workflow that began before an update does not say."""
    verdict_id: str
    """The verdict that passed, by reference."""
    expires: str
    """When the workflow waits no more."""

    @staticmethod
    def id(version: int, environment: str, token_sha256: str) -> str:
        """A workflow that asks again has another token and asks another question. token_sha256: of the task token."""
        return f"approval-request:{version}:{environment}:{token_sha256[:16]}"


class Approval(Approving):
    """A person approves a version for an environment."""

    authors: tuple[str, ...]
    """The known persons who delivered the version's commit; the person is none of them."""
    verdict_id: str
    """The verdict that the request was about, by reference."""

    @staticmethod
    def id(version: int, environment: str, request: int, person: str) -> str:
        return f"approval:{version}:{environment}:{request}:{person}"


class Rejection(Rejecting):
    """A person rejects a version for an environment."""

    authors: tuple[str, ...]
    """The known persons who delivered the version's commit; the person is none of them."""
    verdict_id: str
    """The verdict that the request was about, by reference."""

    @staticmethod
    def id(version: int, environment: str, request: int, person: str) -> str:
        return f"rejection:{version}:{environment}:{request}:{person}"


class Deployment(Body):
    """A deployment to an environment ended."""

    KIND = "deployment"

    outcome: Ending
    """How it ended."""
    release: Release | JudgedRelease
    """What is live after a success, whole; after a failure what was wanted, without `model_version_id` where it came
    from the workflow."""
    url: str | None
    """Where the model answers; null where the environment did not say."""
    reason: str
    """What the environment said at the end."""
    place: int | None = 0
    """The number of this end in the environment's journal; null where the journal has none, and left out by what was
    recorded before there were journals."""
    at: str | None = None
    """When it ended, where it was recorded later from the journal; else the record's time."""
    without: str | None = None
    """Why neither verdict and approvals nor a break-glass let this release in, where it serves all the same; since
    0.2."""

    @staticmethod
    def id(version: int | str, environment: str, execution: str, outcome: str) -> str:
        """execution: name of the workflow's execution, or token of the operator's attempt. One may end twice, if it is
        redriven: once for each outcome.
        """
        return f"deployment:{version}:{environment}:{execution}:{outcome}"

    @staticmethod
    def execution_of(entry_id: str, version: int, environment: str, outcome: Ending) -> str:
        """The execution, or attempt, in an id that `id` made of the rest."""
        return entry_id.removeprefix(f"deployment:{version}:{environment}:").removesuffix(f":{outcome}")


class Waiver(Said):
    """A person lets one rule go for one version in one environment."""

    KIND = "waiver"

    rule: str
    """The rule's name in the policy."""
    expires: str
    """Until when it holds."""
    verdict_id: str
    """The verdict that the rule kept from passing, by reference."""

    @staticmethod
    def id(version: int, environment: str, rule: str, person: str, day: str) -> str:
        """day: the last one, YYYY-MM-DD."""
        return f"waiver:{version}:{environment}:{rule}:{person}:{day}"


class Compared(Document):
    """Rows that a fresh holdout was compared with."""

    snapshot: str
    """Id of their snapshot."""
    part: Literal["train", "holdout"]
    """Which part of it."""
    identities_sha256: str
    """Digest of the digests of these rows."""
    rows: int
    """How many they are."""
    alike: int
    """How many rows of the holdout have the contents of one of them, under another identifier."""


class Holdout(Body):
    """A person recorded a fresh holdout, with what it was compared with. About no version and no environment."""

    KIND = "holdout"

    snapshot: str
    """Id of its snapshot."""
    holdout_sha256: str
    """Digest of its labels, which is its name."""
    features_sha256: str
    """Digest of its features."""
    train_sha256: str
    """Digest of the snapshot's training rows."""
    holdout_identities_sha256: str
    """Digest of the digests that say which rows it has."""
    train_identities_sha256: str
    """The same of the snapshot's training rows."""
    rows: int
    """How many rows it has."""
    person: str
    """The person's name in `[persons]` of environments/tools.toml."""
    user_arn: str
    """The ARN of the session that signed, as AWS gave it."""
    compared: tuple[Compared, ...]
    """Every part that shares no row with it."""
    nonce: str | None = None
    """That of the proof with which STS said who signed; since 0.2."""

    @staticmethod
    def id(holdout_sha256: str) -> str:
        return f"holdout:{holdout_sha256}"


class SnapshotChoice(Said):
    """A person chose the snapshot that trainings use from then on; since 0.2. About no version and no environment."""

    KIND = "snapshot-choice"

    snapshot: str
    """Its id."""
    before: str | None
    """The snapshot that was chosen before, by id; null where nobody had chosen one."""

    @staticmethod
    def id(snapshot: str, before: int) -> str:
        """before: number of the last choice's record, 0 before the first, so that a snapshot can be chosen again."""
        return f"snapshot-choice:{snapshot}:{before}"


class Operation(Said):
    """An operator changed an environment without the tools account, which learned of it from the journal."""

    from_: str | None
    """The version that was pinned before; null where none was."""
    to: str
    """The version that was wanted."""
    verdict_id: str
    """The verdict of the version before, or of the one wanted where there was none before, by reference."""
    at: str
    """When it was asked."""
    place: int
    """Number of the operator's word in the environment's journal."""

    @classmethod
    def id(cls, environment: str, token: str) -> str:
        """token: of the attempt, as the journal has it; the deployment that answers has it in its own id."""
        return f"{cls.KIND}:{environment}:{token}"


class Rollback(Operation):
    """An operator took an environment back; about the version that was rolled back from."""

    KIND = "rollback"


class Restore(Operation):
    """An operator put back what an environment had lost; about the version that was restored."""

    KIND = "restore"


class BreakGlass(Said):
    """A person put a version into an environment past its gate and approvals; recorded before it happened."""

    KIND = "break-glass"

    package_arn: str
    """ARN of the model package."""
    image: str | None = None
    """The image of the package, with digest, as the registry had it; since 0.2."""
    model_sha256: str | None = None
    """Digest of the model data, as the package claims it; since 0.2."""

    @staticmethod
    def id(version: int, environment: str, token: str) -> str:
        """token: what the caller chose for this attempt."""
        return f"break-glass:{version}:{environment}:{token}"


class Acknowledgement(Said):
    """A person looked at a break-glass that another caused, which closes it; the reason is what was found out."""

    KIND = "acknowledgement"

    break_glass: str
    """The break-glass, by reference."""

    @staticmethod
    def id(break_glass: int) -> str:
        """break_glass: number of its record."""
        return f"acknowledgement:{break_glass}"


class Retirement(Said):
    """A person retired a model: it goes from the project, and its history stays. About its newest version, and about no
    environment. Since 0.2.
    """

    KIND = "retirement"

    cut_off: tuple[str, ...]
    """The environments that served it by the ledger, whose callers get no answer any more."""

    @staticmethod
    def id(version: int) -> str:
        """version: the newest; a model of this name that has another one later is another fact."""
        return f"retirement:{version}"


# Of the chain of infrastructure; about no version, and about the stacks of an environment, of tools or of anchor


class Assembly(Document):
    """What `cdk synth` wrote for an environment, and the workflow run that wants it."""

    assembly: str
    """Digest of templates and code."""
    commit: str
    """Git commit, 40 hexadecimal digits."""
    run: str
    """Id and attempt of the workflow run, such as 17.1."""
    actor_id: str
    """Id of the GitHub account that pushed: the author."""


class StackApprovalRequest(Assembly, Request):
    """Persons are asked to approve a change of stacks."""

    @staticmethod
    def id(environment: str, assembly: str, before: int) -> str:
        """before: number of the last record about the environment, so that the same assembly can be asked for again."""
        return f"approval-request:{environment}:{assembly}:{before}"


class StackApproval(Approving):
    """A person approves a change of stacks."""

    @staticmethod
    def id(environment: str, request: int, person: str) -> str:
        return f"approval:{environment}:{request}:{person}"


class StackRejection(Rejecting):
    """A person rejects a change of stacks."""

    @staticmethod
    def id(environment: str, request: int, person: str) -> str:
        return f"rejection:{environment}:{request}:{person}"


class StackDeployment(Assembly, Body):
    """A workflow run deployed stacks, well or not."""

    KIND = "deployment"

    outcome: Ending
    """How it ended."""
    reason: str
    """Why it failed; empty after a success."""

    @staticmethod
    def id(environment: str, assembly: str, run: str) -> str:
        return f"deployment:{environment}:{assembly}:{run}"


ReleaseBody: TypeAlias = (
    Verdict
    | ApprovalRequest
    | Approval
    | Rejection
    | Deployment
    | Waiver
    | Holdout
    | SnapshotChoice
    | Rollback
    | Restore
    | BreakGlass
    | Acknowledgement
    | Retirement
)
StackBody: TypeAlias = StackApprovalRequest | StackApproval | StackRejection | StackDeployment

RELEASE_KINDS: Mapping[str, type[ReleaseBody]] = {body.KIND: body for body in get_args(ReleaseBody)}
STACK_KINDS: Mapping[str, type[StackBody]] = {body.KIND: body for body in get_args(StackBody)}
