"""Judges a package for one environment and records the verdict; only outcome "passed" has a release in the answer.

Event: {"model", "version", "package_arn", "environment", "dry_run" (optional)}.
Answer: {"outcome", "verdict_id", "approvals", "release": {version, commit, package_arn, image, model_sha256,
policy_sha256, verdict_id} or null, "source": {bucket, key, version_id} or null}. The same event again gives the same
answer from the same record. What cannot be verified is a verdict with outcome "error"; AWS failures are raised, to be
retried. With dry_run true the answer is the body that a verdict would have now; nothing is recorded or spent.

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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lambdas import shared
from lockgate.approval import reference
from lockgate.aws import clients, evidence
from lockgate.aws.registry import Registry
from lockgate.config import Environment
from lockgate.evidence import Evidence
from lockgate.holdout import tells_authors, usage
from lockgate.ledger import Entry, Record, live
from lockgate.verdict import Circumstances, Outcome, Verdict, judge, refusal
from lockgate.verification import Expected, Found, Package, verify
from lockgate.waiver import newest, waived

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
    now = shared.timestamp(shared.now())
    waiver = newest(store.chain(model), version, environment.name, now)
    entry_id = f"verdict:{version}:{environment.name}" + (f":{waiver}" if waiver else "")  # a waiver asks anew
    expected = _expected(settings, model, version, str(event.get("package_arn")))
    found: Found | None = None

    def decide(chain: Sequence[Record]) -> Entry:
        """The verdict as of this chain: whoever wins the next number has counted every decision before it."""
        nonlocal found
        found = found or evidence.find_all(expected, package, registry, clients.client("s3"), clients.client("ecr"))
        body = _body(expected, found, environment, chain, now)
        return Entry("verdict", entry_id, version, environment.name, body)

    if event.get("dry_run") is True:
        if package and package.approval == "Rejected" and _refused(store.chain(model), version):
            package = replace(package, approval="PendingManualApproval")  # the mark of an earlier gate, not a person's
        return {**decide(store.chain(model)).body, "dry_run": True}
    record = store.append_decided(model, entry_id, decide, now)
    passed = record.entry.body["outcome"] == "passed"
    first = environment.name == shared.tools().promotion[0]
    if package and first and _is(package, record) and tells_authors(record.entry.body["feedback"], passed):
        registry.mark(package, passed, f"verdict {reference(record)}: {'passed' if passed else 'not passed'}")
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


def _body(
    expected: Expected, found: Found, environment: Environment, chain: Sequence[Record], now: str
) -> dict[str, Any]:
    """The body of the verdict: what was decided, on which numbers, about which artifacts; null is "not known"."""
    checked = verify(expected, found)
    trusted = checked.evidence if not checked.reasons else None
    champion = live(chain, shared.tools().promotion[-1])
    used = usage(chain, trusted.data.labels_sha256, expected.version) if trusted else None
    alpha = used.level(environment.policy.budget) if used else None
    waivers = waived(chain, expected.version, environment.name, now)
    if trusted is None:
        verdict = Verdict(tuple(checked.reasons))
    elif alpha is None:
        verdict = refusal("holdout", _used_up(trusted, environment), Outcome.INCONCLUSIVE)
    else:
        circumstances = Circumstances(
            alpha=alpha,
            champion_sha256=champion.entry.body["release"]["model_sha256"] if champion else "",
            facts={"lineage": 0.0, "data_contract": 0.0},  # both were verified, or there would be no trusted evidence
            waived=waivers,
        )
        verdict = judge(environment.policy, _of_served(trusted, found, champion), circumstances)
    lineage, data = checked.lineage, found.model_data
    facts = ("commit", "image", "actor", "snapshot", "model_sha256", "evidence_sha256", "evidence_uri")
    return {
        **verdict.as_dict(),
        "policy_sha256": environment.policy.sha256,
        "approvals": environment.approvals,
        "package_arn": expected.package_arn,
        **{name: getattr(lineage, name) if lineage else None for name in facts},
        "evaluator_image": found.evaluation.image if found.evaluation else None,
        "source": {"bucket": data.bucket, "key": data.key, "version_id": data.version_id} if data else None,
        "metrics": {name: metric.as_dict() for name, metric in trusted.metrics.items()} if trusted else {},
        "data": dict(vars(trusted.data)) if trusted else None,
        "features": list(trusted.features) if trusted else None,
        "parameters": dict(trusted.parameters) if trusted else None,
        "champion": {"version": champion.entry.version, **_champion_facts(champion)} if champion else None,
        # What this decision spent of the holdout; a decision that looked at no row spends nothing.
        "holdout_sha256": trusted.data.labels_sha256 if trusted and alpha else None,
        "alpha": alpha,
        "spent_before": used.spent if used else None,
        "holdout": used.holdout if used else None,
        "feedback": environment.policy.budget.feedback,
    }


def _champion_facts(deployment: Record) -> dict[str, str]:
    release = deployment.entry.body["release"]
    return {"model_sha256": release["model_sha256"], "image": release["image"], "since": deployment.time}


def _of_served(trusted: Evidence, found: Found, champion: Record | None) -> Evidence:
    """The evidence, without its champion unless the predictions were made by the very image that is served."""
    image = found.evaluation.champion_image if found.evaluation else ""
    served = champion is not None and champion.entry.body["release"]["image"] == image
    return trusted if served else replace(trusted, champion=None)


def _used_up(trusted: Evidence, environment: Environment) -> str:
    budget, rows = environment.policy.budget, trusted.data.holdout_rows
    return (
        f"holdout {trusted.data.labels_sha256[:12]} of {rows} rows is used up: the policy lets it serve "
        f"{budget.decisions} decisions with feedback {budget.feedback}; publish {rows} fresh labelled rows as a new "
        "snapshot and deliver the commit again"
    )


def _refused(chain: Sequence[Record], version: int) -> bool:
    """Whether a gate refused a version, and so marked it in the registry itself."""
    verdicts = [record.entry for record in chain if record.entry.kind == "verdict" and record.entry.version == version]
    return any(entry.body["outcome"] != "passed" for entry in verdicts)


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
