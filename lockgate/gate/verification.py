"""Whether a package, its evidence and its artifacts are what they claim to be, before any rule is applied.

Every disagreement is a reason with outcome error that says what was found and what was expected; nothing here passes
what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lockgate import names
from lockgate.errors import EvidenceError
from lockgate.evidence.document import Evidence, read_evidence
from lockgate.evidence.package import Lineage, read_lineage
from lockgate.evidence.provenance import Attestation, Origin, check
from lockgate.gate.scan import ImageScan
from lockgate.gate.verdict import Outcome, RuleResult


@dataclass(frozen=True)
class Package:
    """A model package as the registry describes it.

    status: Completed when it can be used.
    approval: PendingManualApproval, Approved or Rejected.
    """

    arn: str
    group: str
    version: int
    status: str
    approval: str
    image: str
    model_data_uri: str
    properties: Mapping[str, str]


class Evaluation(NamedTuple):
    """The job that the evaluate step of a pipeline execution ran; outputs are the s3:// folders it wrote.

    champion_image: with which the champion's predictions were made; "" when no step says so.
    ended: UTC, ISO 8601; "" when SageMaker does not say.
    """

    status: str
    image: str
    outputs: tuple[str, ...]
    champion_image: str = ""
    ended: str = ""


class ModelData(NamedTuple):
    """One S3 version of a model.tar.gz and the SHA-256 recomputed from its bytes; "" for a bucket without versions."""

    bucket: str
    key: str
    version_id: str
    sha256: str


@dataclass(frozen=True)
class Expected:
    """What the gate knows without asking the package: from the event, the configuration and the stack.

    attestation: whether images are vouched for in this configuration, so that one that is not is an error.
    """

    model: str
    version: int
    package_arn: str
    account: str
    region: str
    evaluator_digest: str
    evidence_bucket: str
    models_bucket: str
    attestation: bool = True

    @property
    def executions(self) -> str:
        """What the ARN of every execution of the model's pipeline starts with."""
        pipeline = names.pipeline(self.model)
        return f"arn:aws:sagemaker:{self.region}:{self.account}:pipeline/{pipeline}/execution/"

    @property
    def evaluator_image(self) -> str:
        repository = names.repository_uri(self.account, self.region, names.EVALUATOR_REPOSITORY)
        return f"{repository}@{self.evaluator_digest}"

    def evidence_folder(self, execution: str) -> str:
        """Where the evaluate step of an execution writes; execution is its ARN."""
        return f"s3://{self.evidence_bucket}/{self.model}/{execution.removeprefix(self.executions)}"

    def model_folder(self, execution: str) -> str:
        """Below it the train step of an execution writes model.tar.gz."""
        return f"s3://{self.models_bucket}/{self.model}/{execution.removeprefix(self.executions)}/"


@dataclass(frozen=True)
class Artifacts:
    """What the accounts hold; None is "no such thing". image_digest: what ECR has under the commit's tag.

    started_by: ARN of who started the execution of the pipeline; "" when nobody says.
    attestations: what is kept beside the package's image.
    scan: of that image, where the policy asks for it.
    """

    package: Package | None = None
    evidence: bytes | None = None
    evaluation: Evaluation | None = None
    image_digest: str | None = None
    model_data: ModelData | None = None
    started_by: str = ""
    attestations: tuple[Attestation, ...] = ()
    scan: ImageScan | None = None


@dataclass
class Verification:
    """What was wrong (nothing, when reasons is empty), and what could be read."""

    reasons: list[RuleResult] = field(default_factory=list)
    lineage: Lineage | None = None
    evidence: Evidence | None = None
    origin: Origin | None = None

    def refuse(self, rule: str, message: str) -> None:
        self.reasons.append(RuleResult(rule, Outcome.ERROR, message))

    def same(self, rule: str, what: str, found: object, expected: object) -> None:
        if found != expected:
            self.refuse(rule, f"{what}: found {found!r}, expected {expected!r}")


def lineage_of(package: Package) -> Lineage | None:
    """None when it is incomplete; `verify` says what is missing."""
    try:
        return read_lineage(package.properties)
    except EvidenceError:
        return None


def verify(expected: Expected, artifacts: Artifacts) -> Verification:
    """Compare everything with everything; the result has no reasons only when all agree."""
    result = Verification()
    package = artifacts.package
    if package is None:
        result.refuse("package", f"{expected.package_arn}: found no such package, expected one in the registry")
        return result
    result.same("package", "arn", package.arn, expected.package_arn)
    result.same("package", "group", package.group, names.package_group(expected.model))
    result.same("package", "version", package.version, expected.version)
    result.same("package", "status", package.status, "Completed")
    if package.approval not in ("PendingManualApproval", "Approved"):
        result.refuse("package", f"approval: found {package.approval!r}, expected PendingManualApproval or Approved")
    try:
        lineage = result.lineage = read_lineage(package.properties)
    except EvidenceError as error:
        result.refuse("lineage", str(error))
        return result
    _verify_lineage(result, expected, package, lineage)
    _verify_evidence(result, expected, artifacts.evidence, lineage)
    _verify_evaluation(result, expected, artifacts.evaluation, lineage)
    _verify_image(result, expected, artifacts.image_digest, lineage)
    if expected.attestation:
        _verify_provenance(result, expected, artifacts.attestations, lineage)
    _verify_model_data(result, package, artifacts.model_data, lineage)
    return result


def _verify_lineage(result: Verification, expected: Expected, package: Package, lineage: Lineage) -> None:
    result.same("lineage", "image of the package", package.image, lineage.image)
    if not lineage.execution.startswith(expected.executions):
        result.refuse("lineage", f"execution: found {lineage.execution!r}, expected {expected.executions}...")
    folder = expected.evidence_folder(lineage.execution)
    result.same("lineage", "evidence", lineage.evidence_uri, f"{folder}/evidence.json")
    models = expected.model_folder(lineage.execution)
    if not package.model_data_uri.startswith(models):
        result.refuse("lineage", f"model data: found {package.model_data_uri!r}, expected {models}...")


def _verify_evidence(result: Verification, expected: Expected, data: bytes | None, lineage: Lineage) -> None:
    if data is None:
        result.refuse("evidence", f"{lineage.evidence_uri}: found nothing to read there, expected the evidence")
        return
    try:
        evidence = result.evidence = read_evidence(data, lineage.evidence_sha256)
    except EvidenceError as error:
        result.refuse("evidence", str(error))
        return
    result.same("evidence", "model", evidence.model, expected.model)
    for name in ("commit", "image", "actor", "execution", "model_sha256"):
        result.same("evidence", name, getattr(evidence, name), getattr(lineage, name))
    result.same("evidence", "snapshot", evidence.data.snapshot, lineage.snapshot)


def _verify_evaluation(result: Verification, expected: Expected, job: Evaluation | None, lineage: Lineage) -> None:
    if job is None:
        result.refuse("evaluator", f"{lineage.execution}: found no job of a step evaluate, expected one")
        return
    result.same("evaluator", "image", job.image, expected.evaluator_image)
    result.same("evaluator", "job", job.status, "Completed")
    folder = expected.evidence_folder(lineage.execution)
    if folder not in [output.rstrip("/") for output in job.outputs]:
        result.refuse("evaluator", f"outputs: found {list(job.outputs)!r}, expected {folder}")


def _verify_image(result: Verification, expected: Expected, digest: str | None, lineage: Lineage) -> None:
    repository = names.repository_uri(expected.account, expected.region, names.MODELS_REPOSITORY)
    if digest is None:
        result.refuse("image", f"{repository}:{lineage.commit}: found no image under the commit's tag, expected one")
    else:
        result.same("image", f"image of commit {lineage.commit}", lineage.image, f"{repository}@{digest}")


def _verify_provenance(
    result: Verification, expected: Expected, attestations: tuple[Attestation, ...], lineage: Lineage
) -> None:
    checked = check(
        attestations,
        digest=lineage.image.rpartition("@")[2],
        commit=lineage.commit,
        account=expected.account,
        region=expected.region,
    )
    result.origin = checked.origin
    for complaint in checked.complaints:
        result.refuse("provenance", complaint)


def _verify_model_data(result: Verification, package: Package, data: ModelData | None, lineage: Lineage) -> None:
    if data is None:
        result.refuse("model data", f"{package.model_data_uri}: found nothing to read there, expected model.tar.gz")
        return
    result.same("model data", "SHA-256", data.sha256, lineage.model_sha256)
    if not data.version_id:
        result.refuse("model data", f"{package.model_data_uri}: found no S3 version, expected a versioned bucket")
