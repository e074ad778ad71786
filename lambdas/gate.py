"""Judges a package for one environment and records the verdict; only outcome "passed" has a release in the answer.

Event: {"model", "version", "package_arn", "environment"}.
Answer: {"outcome", "verdict_id", "approvals", "release": {version, commit, package_arn, image, model_sha256,
policy_sha256, verdict_id} or null, "source": {bucket, key, version_id} or null}. The same event again gives the same
answer from the same record. What cannot be verified is a verdict with outcome "error"; AWS failures are raised, to be
retried.

Environment:
    LEDGER_BUCKET, EVIDENCE_BUCKET, MODELS_BUCKET
Calls:
    s3:ListBucket           on the ledger, evidence and models buckets (without it what is absent is a 403, not a 404)
    s3:GetObject            on <ledger>/*, <evidence>/*, <models>/* ; s3:PutObject on <ledger>/* (If-None-Match: *)
    sagemaker:DescribeModelPackage, sagemaker:UpdateModelPackage   on model-package/lockgate-<model>/*
    sagemaker:ListPipelineExecutionSteps   on pipeline/lockgate-<model>/execution/*
    sagemaker:DescribeProcessingJob        on processing-job/*
    ecr:DescribeImages      on repository/lockgate-models
    kms:Decrypt, kms:GenerateDataKey       on the keys of these buckets
The model data is streamed (no disk, 1 MiB of memory): allow a minute for each 5 GB or so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate import ledger
from lockgate.approval import reference
from lockgate.aws import clients, evidence
from lockgate.aws.registry import Registry
from lockgate.config import Environment
from lockgate.ledger import Entry, Record
from lockgate.verdict import Verdict, judge
from lockgate.verification import Expected, Package, verify

RELEASE = ("commit", "package_arn", "image", "model_sha256", "policy_sha256")


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    evidence_bucket: str
    models_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    model, version = shared.model_and_version(event)
    environment = shared.environment(str(event.get("environment")))
    store = shared.ledger(settings.ledger_bucket)
    registry = Registry(clients.client("sagemaker"))
    package = registry.describe(str(event.get("package_arn")))
    entry_id = f"verdict:{version}:{environment.name}"
    record = ledger.find(store.chain(model), entry_id)
    if record is None:
        expected = _expected(settings, model, version, str(event.get("package_arn")))
        body = _judge(expected, package, registry, environment)
        entry = Entry("verdict", entry_id, version, environment.name, body)
        record = store.append(model, entry, shared.timestamp(shared.now()))
    passed = record.entry.body["outcome"] == "passed"
    if package and environment.name == shared.tools().promotion[0] and _is(package, record):
        registry.mark(package, passed, f"verdict {reference(record)}: {record.entry.body['outcome']}")
    shared.log("gate", verdict=reference(record), outcome=record.entry.body["outcome"], environment=environment.name)
    return _answer(record)


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
    )


def _judge(expected: Expected, package: Package | None, registry: Registry, environment: Environment) -> dict[str, Any]:
    """The body of the verdict: what was decided, on which numbers, about which artifacts; null is "not known"."""
    found = evidence.find_all(expected, package, registry, clients.client("s3"), clients.client("ecr"))
    checked = verify(expected, found)
    trusted = checked.evidence if not checked.reasons else None
    verdict = judge(environment.policy, trusted) if trusted else Verdict(tuple(checked.reasons))
    lineage, data = checked.lineage, found.model_data
    facts = ("commit", "image", "actor", "snapshot", "model_sha256", "evidence_sha256", "evidence_uri")
    return {
        **verdict.as_dict(),
        "policy_sha256": environment.policy.sha256,
        "approvals": environment.approvals,
        "package_arn": expected.package_arn,
        **{name: getattr(lineage, name) if lineage else None for name in facts},
        "source": {"bucket": data.bucket, "key": data.key, "version_id": data.version_id} if data else None,
        "metrics": {name: metric.as_dict() for name, metric in trusted.metrics.items()} if trusted else {},
    }


def _is(package: Package, record: Record) -> bool:
    """Whether the verdict is about this package: an event may name another one under a version that was judged."""
    return package.arn == record.entry.body["package_arn"] and package.version == record.entry.version


def _answer(record: Record) -> dict[str, Any]:
    body, passed = record.entry.body, record.entry.body["outcome"] == "passed"
    release = {
        "version": str(record.entry.version),
        **{name: body[name] for name in RELEASE},
        "verdict_id": reference(record),
    }
    return {
        "outcome": body["outcome"],
        "verdict_id": reference(record),
        "approvals": body["approvals"],
        "release": release if passed else None,
        "source": body["source"] if passed else None,
    }
