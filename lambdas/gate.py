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
    SIGNING_KEY             ARN of the key that vouches for images
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
from typing import Any

from lambdas import shared
from lockgate import names, schema
from lockgate.aws import clients, evidence
from lockgate.aws.registry import Registry
from lockgate.aws.scans import scan_of
from lockgate.configuration.environment import Environment
from lockgate.evidence.document import Evidence
from lockgate.gate.facts import facts_of
from lockgate.gate.holdout import tells_authors, usage, why_not
from lockgate.gate.scan import FINISHED, WITHIN, PendingError
from lockgate.gate.verdict import Circumstances, Outcome, Verdict, judge, refusal
from lockgate.gate.verification import Expected, Found, Package, verify
from lockgate.gate.waiver import newest, waived
from lockgate.ledger import kinds
from lockgate.ledger.break_glass import broken
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.records import Entry, Record
from lockgate.release.parameters import JudgedRelease

NAMESPACE, SCAN_METRIC = "Lockgate", "ScanUnfinished"


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    evidence_bucket: str
    models_bucket: str
    signing_key: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    settings = shared.settings(Settings)
    model, version = shared.model_and_version(event)
    environment = shared.environment(str(event.get("environment")))
    store = shared.ledger(settings.ledger_bucket)
    registry = Registry(clients.client("sagemaker"))
    package = registry.describe(str(event.get("package_arn")))
    now = shared.timestamp(shared.now())
    waiver = newest(store.chain(model), version, environment.name, now)
    expected = _expected(settings, model, version, str(event.get("package_arn")))
    # Another policy or a waiver asks anew; and what is said of another package must not be replayed as this one's.
    entry_id = kinds.Verdict.id(version, environment.name, environment.policy.sha256, expected.package_arn, waiver)
    found: Found | None = None

    def decide(chain: ReleaseChain) -> Entry[kinds.Verdict]:
        """The verdict as of this chain: whoever wins the next number has counted every decision before it."""
        nonlocal found
        found = found or _scanned(_find(settings, expected, package, registry), environment, expected, event, now)
        body = _body(expected, _unmarked(found, chain, version), environment, chain, now)
        return Entry(entry_id, version, environment.name, replace(body, break_glass=glass or None))

    glass = str(event.get("break_glass") or "")
    if glass:
        chain = store.chain(model)
        broken(chain, glass, version, environment.name)
        entry_id = kinds.Verdict.id_behind(version, environment.name, glass)
        body = decide(chain).body
        if body.data is not None:  # it is what it claims to be; what the policy says of it is not asked
            shared.log("break-glass", record=glass, environment=environment.name)
            return _let_through(body, version, glass, 0)
    if event.get("dry_run") is True:
        return {**schema.write(decide(store.chain(model)).body), "dry_run": True}
    record = store.append_decided(model, entry_id, decide, now)
    passed = record.entry.body.outcome == "passed"
    first = environment.name == shared.tools().promotion[0]
    if passed:
        package = _unmarked(Found(package), store.chain(model), version).package
    if package and first and _is(package, record) and tells_authors(record.entry.body.feedback, passed):
        registry.mark(package, passed, f"verdict {record.reference}: {'passed' if passed else 'not passed'}")
    shared.log("gate", verdict=record.reference, outcome=record.entry.body.outcome, environment=environment.name)
    return _answer(record)


def _find(settings: Settings, expected: Expected, package: Package | None, registry: Registry) -> Found:
    s3, ecr, kms = (clients.client(service) for service in ("s3", "ecr", "kms"))
    return evidence.find_all(expected, package, registry, s3, ecr, kms, settings.signing_key)


def _scanned(found: Found, environment: Environment, expected: Expected, event: dict[str, Any], now: str) -> Found:
    """With the scan of its image, where the policy asks for one. Raises PendingError while that may still end."""
    if not environment.policy.asks_for_scan or found.package is None:
        return found
    digest = found.package.image.rpartition("@")[2]
    scan = scan_of(clients.client("ecr"), expected.account, names.MODELS_REPOSITORY, digest)
    decides = event.get("dry_run") is not True and not event.get("break_glass")
    if scan and scan.status not in FINISHED and decides:
        if scan.still_running(now):
            raise PendingError(f"scan of {digest}: {scan.status}; it is waited for until {WITHIN} after the push")
        metric = {"MetricName": SCAN_METRIC, "Value": 1, "Unit": "Count"}
        clients.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=[metric])
        shared.log("scan", image=digest, status=scan.status, description=scan.description)
    return replace(found, scan=scan)


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


def _body(expected: Expected, found: Found, environment: Environment, chain: ReleaseChain, now: str) -> kinds.Verdict:
    """The body of the verdict: what was decided, on which numbers, about which artifacts; null is "not known"."""
    checked = verify(expected, found)
    trusted = checked.evidence if not checked.reasons else None
    champion = chain.live(shared.tools().promotion[-1])
    budget = environment.policy.budget
    used = usage(chain, trusted.data.labels_sha256, expected.version) if trusted else None
    unfit = why_not(chain, trusted.data, budget, expected.version) if trusted else ""
    alpha = used.level(budget) if used and not unfit else None
    if trusted is None or alpha is None:
        verdict = refusal("holdout", unfit, Outcome.INCONCLUSIVE) if unfit else Verdict(tuple(checked.reasons))
    else:
        ended = found.evaluation.ended if found.evaluation else ""
        circumstances = Circumstances(
            alpha=alpha,
            champion_sha256=champion.entry.body.release.model_sha256 if champion else "",
            facts={
                **facts_of(trusted, ended=ended, now=now, chain=chain, version=expected.version),
                **(found.scan.facts() if found.scan else {}),
            },
            waived=waived(chain, expected.version, environment.name, now),
        )
        verdict = judge(environment.policy, _of_served(trusted, found, champion), circumstances)
    lineage, data = checked.lineage, found.model_data
    return kinds.Verdict(
        outcome=verdict.outcome.value,
        reasons=tuple(
            kinds.Reason(rule=each.rule, outcome=each.outcome.value, message=each.message, dry_run=each.dry_run)
            for each in verdict.reasons
        ),
        policy_sha256=environment.policy.sha256,
        approvals=environment.approvals,
        package_arn=expected.package_arn,
        commit=lineage.commit if lineage else None,
        image=lineage.image if lineage else None,
        actor=lineage.actor if lineage else None,
        execution=lineage.execution if lineage else None,
        snapshot=lineage.snapshot if lineage else None,
        model_sha256=lineage.model_sha256 if lineage else None,
        evidence_sha256=lineage.evidence_sha256 if lineage else None,
        evidence_uri=lineage.evidence_uri if lineage else None,
        delivered_by=found.started_by or None,
        scan=kinds.Scan(status=found.scan.status, counts=dict(found.scan.counts)) if found.scan else None,
        origin=checked.origin,
        evaluator_image=found.evaluation.image if found.evaluation else None,
        source=kinds.Source(bucket=data.bucket, key=data.key, version_id=data.version_id) if data else None,
        replay_sha256=trusted.replay_sha256 if trusted else None,
        metrics={
            name: kinds.Number(value=metric.value, rows=metric.rows, statistics=dict(metric.statistics))
            for name, metric in (trusted.metrics if trusted else {}).items()
        },
        data=trusted.data if trusted else None,
        features=trusted.features if trusted else None,
        parameters=dict(trusted.parameters) if trusted else None,
        champion=_served(champion) if champion else None,
        # What this decision spent of the holdout; a decision that looked at no row spends nothing.
        holdout_sha256=trusted.data.labels_sha256 if trusted and alpha else None,
        alpha=alpha,
        spent_before=used.spent if used else None,
        holdout=used.holdout if used else None,
        budget=budget,
        feedback=budget.feedback,
    )


def _served(deployment: Record[kinds.Deployment]) -> kinds.Served:
    release = deployment.entry.body.release
    return kinds.Served(
        version=deployment.entry.version,
        model_sha256=release.model_sha256,
        image=release.image,
        since=deployment.time,
    )


def _of_served(trusted: Evidence, found: Found, champion: Record[kinds.Deployment] | None) -> Evidence:
    """The evidence, without its champion unless the predictions were made by the very image that is served."""
    image = found.evaluation.champion_image if found.evaluation else ""
    served = champion is not None and champion.entry.body.release.image == image
    return trusted if served else replace(trusted, champion=None)


def _unmarked(found: Found, chain: ReleaseChain, version: int) -> Found:
    """Without the mark that an earlier gate's refusal left in the registry; a person's rejection stays."""
    refused = any(record.entry.body.outcome != "passed" for record in chain.of(kinds.Verdict, version))
    if found.package is None or found.package.approval != "Rejected" or not refused:
        return found
    return replace(found, package=replace(found.package, approval="PendingManualApproval"))


def _is(package: Package, record: Record[kinds.Verdict]) -> bool:
    """Whether the verdict is about this package: an event may name another one under a version that was judged."""
    return package.arn == record.entry.body.package_arn and package.version == record.entry.version


def _answer(record: Record[kinds.Verdict]) -> dict[str, Any]:
    body, name = record.entry.body, record.reference
    if body.outcome == "passed":
        return _let_through(body, record.entry.version, name, body.approvals)
    answer = {"outcome": body.outcome, "verdict_id": name, "approvals": body.approvals}
    return {**answer, "release": None, "source": None}


def _let_through(body: kinds.Verdict, version: int, name: str, approvals: int) -> dict[str, Any]:
    """The answer with the release: on the record of this name, after so many approvals."""
    release = JudgedRelease(
        version=str(version),
        commit=body.commit or "",
        package_arn=body.package_arn,
        image=body.image or "",
        model_sha256=body.model_sha256 or "",
        replay_sha256=body.replay_sha256 or "",
        policy_sha256=body.policy_sha256,
        verdict_id=name,
    )
    return {
        "outcome": "passed",
        "verdict_id": name,
        "approvals": approvals,
        "release": schema.write(release),
        "source": {**schema.write(body.source), "replay": _replay(body.evidence_uri or "")},
    }


def _replay(evidence_uri: str) -> dict[str, str]:
    """The rows that the evaluator recorded, beside the evidence that has their digest."""
    bucket, _, key = evidence_uri.removeprefix("s3://").partition("/")
    return {"bucket": bucket, "key": f"{key.rpartition('/')[0]}/replay.json"}
