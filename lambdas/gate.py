"""Judges a package for one environment and records the verdict; only outcome "passed" has a release in the answer.

Event: {"model", "version", "package_arn", "environment", "dry_run" (optional), "break_glass" (optional)}.
Answer: {"outcome", "verdict_id", "approvals", "release": {version, commit, package_arn, image, model_sha256,
replay_sha256, policy_sha256, verdict_id} or null, "source": {bucket, key, version_id, replay: {bucket, key}} or null}.
- The same event again gives the same answer from the same record. Another policy, a waiver or another package asks
  anew.
- What cannot be verified is a verdict with outcome "error". A failure of AWS is raised, so that it is retried.
- With dry_run true the answer is the body that a verdict would have now. Nothing is recorded or spent.
- With break_glass the reference of that record (and not ""), it does not ask the policy. What verifies is answered as
  passed, with that record for its verdict. What does not verify is a verdict with outcome "error".
- It streams the model data (no disk, 1 MiB of memory): allow a minute for each 5 GB or so.

Environment:
    LEDGER_BUCKET, EVIDENCE_BUCKET, MODELS_BUCKET
    SIGNING_KEY             ARN of the key that vouches for images; "none" where tools.toml wants no attestation
Calls:
    s3:ListBucket           on the ledger, evidence and models buckets (without it what is absent is a 403, not a 404)
    s3:GetObject            on <ledger>/*, <evidence>/*, <models>/* ; s3:PutObject on <ledger>/* (If-None-Match: *)
    sagemaker:DescribeModelPackage, sagemaker:UpdateModelPackage   on model-package/lockgate-<model>/*
    sagemaker:DescribePipelineExecution, sagemaker:ListPipelineExecutionSteps   on pipeline/lockgate-<model>/execution/*
    sagemaker:DescribeProcessingJob        on processing-job/*
    ecr:DescribeImages, ecr:DescribeImageScanFindings   on repository/lockgate-models
    ecr:BatchGetImage, ecr:GetDownloadUrlForLayer       on repository/lockgate-models (provenance, beside the image)
    kms:Verify              on SIGNING_KEY
    cloudwatch:PutMetricData   on * (it has no resource; namespace Lockgate): a scan that did not end in its time
    kms:Decrypt, kms:GenerateDataKey       on the keys of these buckets
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lambdas import shared
from lockgate import names, schema
from lockgate.aws import clients
from lockgate.aws.evidence import artifacts_of
from lockgate.aws.metrics import put_count
from lockgate.aws.registry import Registry
from lockgate.aws.scans import scan_of
from lockgate.gate.answer import answer_of, let_through
from lockgate.gate.decision import Case, decide, entry_of, mark_of, may_mark, name_of, recorded, unmarked
from lockgate.gate.scan import ImageScan
from lockgate.gate.verification import Artifacts, Expected, Package
from lockgate.ledger.break_glass import broken
from lockgate.policy.rules import Policy
from lockgate.release.workflow import GateAnswer, GateRequest, read_message


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    evidence_bucket: str
    models_bucket: str
    signing_key: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings, now = shared.settings(Settings), shared.timestamp(shared.now())
    asked = read_message(GateRequest, event)
    model, version, environment = asked.model, asked.number, shared.environment(asked.environment)
    policy = shared.policy(environment, model)
    glass, dry_run = asked.break_glass or "", asked.dry_run
    store, registry = shared.ledger(settings.ledger_bucket), Registry(clients.client("sagemaker"))
    expected = _expected(settings, model, version, asked.package_arn)
    package, chain = registry.describe(expected.package_arn), store.chain(model)
    if glass:
        broken(chain, glass, version, environment.name)
    name = name_of(expected, environment.name, policy, chain, now, glass)
    verdict = None if glass or dry_run else recorded(chain, name)
    if verdict is None:
        artifacts = _artifacts(settings, expected, package, registry)
        scan = _scan(expected, policy, package, now, decides=not (glass or dry_run))
        champions = shared.tools().promotion[-1]
        case = Case(expected, replace(artifacts, scan=scan), environment, policy, champions, now, glass)
        if dry_run:
            return {**schema.write(decide(case, chain)), "dry_run": True}
        body = decide(case, chain) if glass else None
        if body and body.data is not None:  # it is what it claims to be; what the policy says of it is not asked
            shared.log("break-glass", record=glass, environment=environment.name)
            return answered(let_through(body, version, glass, 0))
        verdict = store.append_decided(model, name, partial(entry_of, name, case), now)
    if package and environment.name == shared.tools().promotion[0] and may_mark(package, verdict):
        passed = verdict.entry.body.outcome == "passed"
        shown = unmarked(package, store.chain(model), version) if passed else package
        registry.mark(shown, passed, mark_of(verdict))
    shared.log("gate", verdict=verdict.reference, outcome=verdict.entry.body.outcome, environment=environment.name)
    return answered(answer_of(verdict))


def answered(answer: GateAnswer) -> dict[str, Any]:
    said: dict[str, Any] = schema.write(answer)
    return said


def _expected(settings: Settings, model: str, version: int, package_arn: str) -> Expected:
    tools = shared.tools()
    return Expected(
        model=model,
        version=version,
        package_arn=package_arn,
        account=tools.account,
        region=tools.region,
        evaluator_digest=tools.evaluator_image_digest,
        evidence_bucket=settings.evidence_bucket,
        models_bucket=settings.models_bucket,
        attestation=tools.attestation,
    )


def _artifacts(settings: Settings, expected: Expected, package: Package | None, registry: Registry) -> Artifacts:
    s3, ecr, kms = (clients.client(service) for service in ("s3", "ecr", "kms"))
    return artifacts_of(expected, package, registry, s3, ecr, kms, settings.signing_key)


def _scan(expected: Expected, policy: Policy, package: Package | None, now: str, *, decides: bool) -> ImageScan | None:
    """The scan of the package's image, where the policy asks for one. Raises PendingError while that may still end."""
    if not policy.asks_for_scan or package is None:
        return None
    digest = package.image.rpartition("@")[2]
    scan = scan_of(clients.client("ecr"), expected.account, names.MODELS_REPOSITORY, digest)
    if scan and decides and not scan.finished:
        scan.refuse_while_running(digest, now)
        put_count(clients.client("cloudwatch"), names.SCAN_UNFINISHED, 1)
        shared.log("scan", image=digest, status=scan.status, description=scan.description)
    return scan
