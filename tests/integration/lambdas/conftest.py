"""A small AWS for handlers: moto where it performs the call, otherwise a real client whose answers are scripted.

Scripted answers and the requests they get are validated against botocore's service model, so that a wrong parameter
name or an answer AWS could not give fails the test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.validate import validate_parameters
from moto import mock_aws

from lambdas import shared
from lockgate import names
from lockgate.aws import caller_identity, clients, reader
from lockgate.aws.attestations import Attestations
from lockgate.aws.journal import Journal
from lockgate.evidence.provenance import PROVENANCE, SBOM, Attestation, Build, predicate_of, statement
from lockgate.ledger.journal import Ended
from lockgate.release.parameters import Release
from tests import signed

ACCOUNT = "123456789012"
REGION = "us-east-1"
MODEL = "income"
COMMIT = "c" * 40
EVALUATOR_DIGEST = "sha256:" + "e" * 64
EVALUATOR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/lockgate-evaluator@{EVALUATOR_DIGEST}"
MODELS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/lockgate-models"
AUTHOR = f"arn:aws:sts::{ACCOUNT}:assumed-role/lockgate-delivery/100"  # amelie, by the id of her GitHub account
PIPELINE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/lockgate-{MODEL}"
BUCKETS = {
    "LEDGER_BUCKET": "test-ledger",
    "EVIDENCE_BUCKET": "test-evidence",
    "MODELS_BUCKET": "test-models",
    "DATA_BUCKET": "test-data",
    "RELEASES_BUCKET": "test-releases",
    "ANCHOR_BUCKET": "test-anchor",
}
TOOLS = f"""
account = "{ACCOUNT}"
region = "{REGION}"
promotion = ["dev", "prod"]
[github]
owner = "org"
owner_id = "1"
repository = "models"
repository_id = "2"
branch = "main"
[persons.amelie]
github = ["100"]
users = ["amelie"]
[persons.bob]
github = ["101"]
users = ["bob"]
[persons.carol]
github = ["102"]
users = ["carol"]
[persons.dave]
github = ["103"]
users = ["dave"]
[persons.grace]
github = ["104"]
users = ["grace"]
[images]
base = "python:3.13-slim@sha256:{EVALUATOR_DIGEST[7:]}"
builder = "moby/buildkit:v1@sha256:{EVALUATOR_DIGEST[7:]}"

[evaluator]
image_digest = "{EVALUATOR_DIGEST}"
[training]
instance_type = "ml.m5.large"
[ledger]
retention_days = 1
anchor_account = "555555555555"
"""
ENVIRONMENT = """
account = "{account}"
region = "{region}"
approvals = {approvals}
[service]
certificate_arn = "arn:aws:acm:us-east-1:444444444444:certificate/00000000-0000-4000-8000-000000000000"
vpc_cidr = "10.40.0.0/20"
cpu = 512
memory = 1024
tasks = 2
[deployment]
strategy = "canary"
percent = 10
step_minutes = 10
bake_minutes = 5
deadline_minutes = 60
replay_difference = 1e-9
false_alarm_rate = 0.001
errors_per_minute = 5
latency_p99_ms = 500
unhealthy_minutes = 2
"""
POLICY = """
assurance = "budget"
[budget]
false_promotion_rate = 0.05
scope = "holdout"
decisions = 32
feedback = "every-verdict"
"""
RANKING = """
[[rule]]
name = "ranking"
kind = "limit"
metric = "roc_auc"
floor = {floor}
environments = ["{environment}"]
"""


def statements(digest: str, commit: str = COMMIT) -> tuple[Attestation, ...]:
    """What our key says of an image that our project built."""
    build = Build(
        project_arn=f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/lockgate-image",
        build_arn=f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/lockgate-image:1",
        commit=commit,
        source_uri=f"s3://source/commits/{commit}.zip",
        source_version="v1",
        source_sha256="5" * 64,
        base_image=f"python:3.13-slim@{EVALUATOR_DIGEST}",
        started="2026-11-21T00:00:00+00:00",
        finished="2026-11-21T00:01:00+00:00",
    )
    said = ((PROVENANCE, predicate_of(build)), (SBOM, {"bomFormat": "CycloneDX", "components": [{"name": "numpy"}]}))
    return tuple(Attestation(statement(MODELS, digest, kind, predicate), signed=True) for kind, predicate in said)


class AwsError(Exception):
    """What a scripted operation raises to make its client raise ClientError."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class Scripted:
    """A boto3 client of `service` that answers from this object's methods, named as AWS names operations."""

    service: str

    def __init__(self, sdk: Callable[[str], Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.client = sdk(self.service)
        self.client.meta.events.register("before-parameter-build", self._keep)
        self.client.meta.events.register("before-call", self._answer)

    def close(self) -> None:
        """Give the shared client back."""
        self.client.meta.events.unregister("before-parameter-build", self._keep)
        self.client.meta.events.unregister("before-call", self._answer)

    def requests(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == operation]

    def _keep(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:
        context["request"] = dict(params)
        self.calls.append((model.name, dict(params)))

    def _answer(self, model: Any, context: dict[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        try:
            answer = getattr(self, model.name)(**context["request"])
        except AwsError as error:
            return self._response(400), {"Error": {"Code": error.code, "Message": str(error)}, "ResponseMetadata": {}}
        if model.output_shape is not None:
            validate_parameters(answer, model.output_shape)
        return self._response(200), answer

    def _response(self, status: int) -> AWSResponse:
        return AWSResponse(url="", status_code=status, headers={}, raw=None)


LISTED = (
    "ModelPackageArn",
    "ModelPackageVersion",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelPackageGroupName",
)


class ScriptedSageMaker(Scripted):
    """A registry and the executions behind it; moto's forgets a package's metadata when its status is updated."""

    service = "sagemaker"

    def __init__(self, sdk: Callable[[str], Any]) -> None:
        super().__init__(sdk)
        self.packages: dict[str, dict[str, Any]] = {}
        self.steps: dict[str, list[dict[str, Any]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.started_by: dict[str, str] = {}
        self.failure: AwsError | None = None

    def fail(self, code: str) -> None:
        """Let every description of a package fail with this error code."""
        self.failure = AwsError(code)

    def DescribeModelPackage(self, ModelPackageName: str) -> dict[str, Any]:  # noqa: N802, N803
        if self.failure:
            raise self.failure
        if ModelPackageName not in self.packages:
            raise AwsError("ValidationException", f"ModelPackage {ModelPackageName} does not exist.")
        return self.packages[ModelPackageName]

    def ListModelPackages(self, **request: Any) -> dict[str, Any]:  # noqa: N802
        found = [
            {key: package[key] for key in LISTED}
            for package in self.packages.values()
            if package["ModelPackageGroupName"] == request["ModelPackageGroupName"]
        ]
        return {"ModelPackageSummaryList": found}

    def UpdateModelPackage(self, ModelPackageArn: str, **changes: Any) -> dict[str, Any]:  # noqa: N802, N803
        self.packages[ModelPackageArn].update(changes)
        return {"ModelPackageArn": ModelPackageArn}

    def ListPipelineExecutionSteps(self, PipelineExecutionArn: str) -> dict[str, Any]:  # noqa: N802, N803
        if PipelineExecutionArn not in self.steps:
            raise AwsError("ResourceNotFound", f"Pipeline execution with ARN {PipelineExecutionArn} does not exist.")
        return {"PipelineExecutionSteps": self.steps[PipelineExecutionArn]}

    def DescribePipelineExecution(self, PipelineExecutionArn: str) -> dict[str, Any]:  # noqa: N802, N803
        if PipelineExecutionArn not in self.started_by:
            raise AwsError("ResourceNotFound", f"Pipeline execution with ARN {PipelineExecutionArn} does not exist.")
        return {"CreatedBy": {"IamIdentity": {"Arn": self.started_by[PipelineExecutionArn]}}}

    def DescribeProcessingJob(self, ProcessingJobName: str) -> dict[str, Any]:  # noqa: N802, N803
        if ProcessingJobName not in self.jobs:
            raise AwsError("ResourceNotFound", "Could not find requested job")
        return self.jobs[ProcessingJobName]


class ScriptedStepFunctions(Scripted):
    """Task tokens as Step Functions treats them: one that was used, or whose task timed out, is gone.

    loses_its_answer: the next token is used, and its caller, whose SDK asks again, hears of the second call only.
    executions: names and statuses.
    """

    service = "stepfunctions"

    def __init__(self, sdk: Callable[[str], Any]) -> None:
        super().__init__(sdk)
        self.waiting: set[str] = set()
        self.woken: list[dict[str, Any]] = []
        self.loses_its_answer = False
        self.executions: dict[str, str] = {}

    def SendTaskSuccess(self, taskToken: str, output: str) -> dict[str, Any]:  # noqa: N802, N803
        if taskToken not in self.waiting:
            raise AwsError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        self.waiting.remove(taskToken)
        self.woken.append(json.loads(output))
        if self.loses_its_answer:
            self.loses_its_answer = False
            return self.SendTaskSuccess(taskToken, output)
        return {}

    def ListExecutions(self, stateMachineArn: str) -> dict[str, Any]:  # noqa: N802, N803
        shared = {"stateMachineArn": stateMachineArn, "executionArn": "arn", "startDate": "2026-11-21T00:00:00Z"}
        return {"executions": [{**shared, "name": name, "status": s} for name, s in self.executions.items()]}


@dataclass
class World:
    """Buckets, an image and a registry in which everything agrees, until a test plants a defect."""

    s3: Any
    sagemaker: ScriptedSageMaker
    root: Path
    image: str
    attestations: tuple[Attestation, ...]

    def arn(self, version: int, model: str = MODEL) -> str:
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/lockgate-{model}/{version}"

    def configure(self, environment: str, *, approvals: int = 0) -> None:
        text = ENVIRONMENT.format(account=ACCOUNT, region=REGION, approvals=approvals)
        (self.root / "environments" / f"{environment}.toml").write_text(text)

    def change_policy(self, old: str, new: str) -> None:
        """Deploy another policy of the model: one piece of its text replaced."""
        file = self.root / "model" / MODEL / "policy.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    def execution(self, version: int) -> str:
        return f"{PIPELINE}/execution/exec{version}"

    def register(
        self, version: int = 1, *, roc_auc: float = 0.9, actor: str = "amelie", started_by: str = AUTHOR
    ) -> str:
        """Put everything that a finished pipeline execution leaves behind; returns the package's ARN."""
        model_data = f"the model {version}".encode()
        model_key = f"{MODEL}/exec{version}/training/job/output/model.tar.gz"
        self.s3.put_object(Bucket="test-models", Key=model_key, Body=model_data)
        lineage = {
            "commit": COMMIT,
            "image": self.image,
            "snapshot": "5" * 16,
            "actor": actor,
            "execution": self.execution(version),
            "evidence_uri": f"s3://test-evidence/{MODEL}/exec{version}/evidence.json",
            "evidence_sha256": "",
            "model_sha256": hashlib.sha256(model_data).hexdigest(),
        }
        arn = self.arn(version)
        self.sagemaker.packages[arn] = {
            "ModelPackageName": arn,
            "ModelPackageGroupName": f"lockgate-{MODEL}",
            "ModelPackageVersion": version,
            "ModelPackageArn": arn,
            "CreationTime": "2026-11-21T00:00:00Z",
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "ModelApprovalStatus": "PendingManualApproval",
            "CustomerMetadataProperties": lineage,
            "InferenceSpecification": {
                "Containers": [{"Image": self.image, "ModelDataUrl": f"s3://test-models/{model_key}"}]
            },
        }
        job = f"evaluate-{version}"
        job_arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/{job}"
        self.sagemaker.started_by[self.execution(version)] = started_by
        self.sagemaker.steps[self.execution(version)] = [
            {"StepName": "train", "Metadata": {"TrainingJob": {"Arn": job_arn.replace("processing", "training")}}},
            {"StepName": "evaluate", "Metadata": {"ProcessingJob": {"Arn": job_arn}}},
        ]
        self.sagemaker.jobs[job] = {
            "ProcessingJobName": job,
            "ProcessingJobArn": job_arn,
            "ProcessingJobStatus": "Completed",
            "CreationTime": "2026-11-21T00:00:00Z",
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
            },
            "AppSpecification": {"ImageUri": EVALUATOR},
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "evidence",
                        "S3Output": {
                            "S3Uri": f"s3://test-evidence/{MODEL}/exec{version}/",
                            "LocalPath": "/opt/ml/processing/output/evidence",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
        }
        self.evaluate(
            version,
            {
                "roc_auc": {
                    "value": roc_auc,
                    "rows": 100_000,
                    "statistics": {"variance": 1e-6, "positives": 50_000, "negatives": 50_000},
                }
            },
        )
        return arn

    def evaluate(self, version: int, metrics: dict[str, Any], **changes: Any) -> None:
        """Write evidence whose digest the package names; `changes` replace top-level parts of it."""
        lineage = self.lineage(version)
        document = {
            "schema": "lockgate.evidence/1",
            "model": MODEL,
            **{name: lineage[name] for name in ("commit", "image", "actor", "execution", "model_sha256")},
            "contents_sha256": "1" * 64,
            "data": {
                "snapshot": lineage["snapshot"],
                **{f"{part}_sha256": "2" * 64 for part in ("train", "features", "labels")},
                **{f"{part}_identities_sha256": "6" * 64 for part in ("train", "holdout")},
                "train_rows": 2000,
                "holdout_rows": 1000,
            },
            "features": ["AGEP"],
            "parameters": {"learning_rate": 0.1},
            "engine": {"name": "walker", "rows": 20000, "largest_difference": 0.0, "refused": {}},
            "replay_sha256": "3" * 64,
            "metrics": metrics,
            "groups": {},
            "champion": None,
            "drift": {"AGEP": {"psi": 0.01, "effect_size": 0.02}},
            **changes,
        }
        data = json.dumps(document).encode()
        lineage["evidence_sha256"] = hashlib.sha256(data).hexdigest()
        self.s3.put_object(Bucket="test-evidence", Key=f"{MODEL}/exec{version}/evidence.json", Body=data)

    def predict_as_champion(self, version: int, image: str) -> None:
        """Let the step `champion` of the version's execution have run with this image."""
        job = f"champion-{version}"
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/{job}"
        steps = [step for step in self.sagemaker.steps[self.execution(version)] if step["StepName"] != "champion"]
        steps.append({"StepName": "champion", "Metadata": {"ProcessingJob": {"Arn": arn}}})
        self.sagemaker.steps[self.execution(version)] = steps
        evaluation = self.sagemaker.jobs[f"evaluate-{version}"]
        facts = {"ProcessingJobName": job, "ProcessingJobArn": arn, "AppSpecification": {"ImageUri": image}}
        self.sagemaker.jobs[job] = {**evaluation, **facts}

    def lineage(self, version: int) -> dict[str, str]:
        found: dict[str, str] = self.sagemaker.packages[self.arn(version)]["CustomerMetadataProperties"]
        return found

    def status(self, version: int) -> str:
        return str(self.sagemaker.packages[self.arn(version)]["ModelApprovalStatus"])

    def gate_event(self, version: int = 1, environment: str = "dev") -> dict[str, str]:
        return {
            "model": MODEL,
            "version": str(version),
            "package_arn": self.arn(version),
            "environment": environment,
        }

    def remember(self, release: dict[str, str], environment: str = "prod", token: str = "") -> int:
        """Let an environment's journal have the end of a deployment; its place."""
        bucket = names.releases_bucket(environment, ACCOUNT, REGION)
        self.s3.create_bucket(Bucket=bucket)
        ended = Ended(outcome="succeeded", reason="2 of 2 tasks run", url="u", release=Release(**release))
        token = token or f"{MODEL}-{release['version']}-{environment}"
        return Journal(self.s3, bucket, MODEL).append(token, ended, "2026-11-21T00:00:00.000Z").sequence

    def records(self, model: str = MODEL) -> list[dict[str, Any]]:
        """The ledger's records as they lie in the bucket."""
        listed = self.s3.list_objects_v2(Bucket="test-ledger", Prefix=f"{model}/").get("Contents", [])
        return [
            json.loads(self.s3.get_object(Bucket="test-ledger", Key=entry["Key"])["Body"].read()) for entry in listed
        ]


@pytest.fixture(scope="session")
def sdk() -> Callable[[str], Any]:
    """One client a service for all tests (reading a service model takes a quarter of a second); none calls AWS."""
    session = boto3.Session("test", "test", region_name=REGION)

    @cache
    def client(service: str) -> Any:
        return session.client(service)

    return client


@pytest.fixture
def use(sdk: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Any], None]]:
    """moto behind every client; the function given lets handlers get another client for a service."""
    others: dict[str, Any] = {}

    def client(service: str) -> Any:
        return others.get(service) or sdk(service)

    monkeypatch.setattr(clients, "client", client)
    monkeypatch.setattr(caller_identity, "send", signed.answer)
    monkeypatch.setattr(shared, "client", client)
    shared.ledger.cache_clear()
    with mock_aws():
        yield others.__setitem__
    shared.ledger.cache_clear()


@pytest.fixture
def world(
    use: Callable[[str, Any], None], sdk: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    s3, ecr = sdk("s3"), sdk("ecr")
    for variable, bucket in BUCKETS.items():
        monkeypatch.setenv(variable, bucket)
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ecr.create_repository(repositoryName="lockgate-models", imageTagMutability="IMMUTABLE")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []})
    pushed = ecr.put_image(repositoryName="lockgate-models", imageManifest=manifest, imageTag=COMMIT)
    monkeypatch.setattr(shared, "ROOT", tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "tools.toml").write_text(TOOLS)
    sagemaker = ScriptedSageMaker(sdk)
    use("sagemaker", sagemaker.client)
    digest = pushed["image"]["imageId"]["imageDigest"]
    made = World(s3, sagemaker, tmp_path, f"{MODELS}@{digest}", statements(digest))
    # moto knows no referrers; tests of the embedded ECR put and find real ones.
    monkeypatch.setattr(Attestations, "find", lambda self, digest, kms, key: made.attestations)
    monkeypatch.setenv("SIGNING_KEY", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/vouches")
    monkeypatch.setattr(reader, "look_into", lambda sts, **_: lambda service: s3)
    made.configure("dev")
    made.configure("prod", approvals=1)
    floors = {"dev": 0.8, "prod": 0.85}
    rules = [RANKING.format(floor=floor, environment=environment) for environment, floor in floors.items()]
    for model in (MODEL, "churn"):
        (tmp_path / "model" / model).mkdir(parents=True)
        (tmp_path / "model" / model / "policy.toml").write_text("".join([POLICY, *rules]))
    yield made
    sagemaker.close()


@pytest.fixture
def promotion(world: World, sdk: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """The ARN of a state machine that does nothing."""
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/lockgate-promotion"
    made = sdk("stepfunctions").create_state_machine(name="lockgate-promotion", definition=definition, roleArn=role)
    monkeypatch.setenv("STATE_MACHINE_ARN", made["stateMachineArn"])
    monkeypatch.setenv("MODELS", "income,churn")
    return str(made["stateMachineArn"])


@pytest.fixture
def executions(promotion: str, sdk: Callable[[str], Any]) -> Callable[[], dict[str, Any]]:
    """Name and input of every execution that was started."""

    def read() -> dict[str, Any]:
        client = sdk("stepfunctions")
        listed = client.list_executions(stateMachineArn=promotion)["executions"]
        names = [execution["name"] for execution in listed]
        assert len(set(names)) == len(names)
        return {
            execution["name"]: json.loads(client.describe_execution(executionArn=execution["executionArn"])["input"])
            for execution in listed
        }

    return read


@pytest.fixture
def workflow(world: World, sdk: Callable[[str], Any]) -> Iterator[ScriptedStepFunctions]:
    """The waiting side of an approval; moto refuses every token."""
    made = ScriptedStepFunctions(sdk)
    yield made
    made.close()


@pytest.fixture
def scripted() -> type[Scripted]:
    """The base of a scripted client, for tests that need one of their own."""
    return Scripted


@pytest.fixture
def aws_error() -> type[AwsError]:
    return AwsError
