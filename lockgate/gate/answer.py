"""What a gate answers to the promotion workflow: only a version that is let through has a release in it."""

from __future__ import annotations

from lockgate import names
from lockgate.ledger import kinds
from lockgate.ledger.records import Record
from lockgate.release.parameters import JudgedRelease
from lockgate.release.workflow import GateAnswer, ModelDataSource, Rows


def answer_of(verdict: Record[kinds.Verdict]) -> GateAnswer:
    body = verdict.entry.body
    if body.outcome == "passed":
        return let_through(body, verdict.entry.version, verdict.reference, body.approvals)
    return GateAnswer(
        outcome=body.outcome, verdict_id=verdict.reference, approvals=body.approvals, release=None, source=None
    )


def let_through(body: kinds.Verdict, version: int, record: str, approvals: int) -> GateAnswer:
    """The answer with the release, on the record of this reference, after so many approvals."""
    release = JudgedRelease(
        version=str(version),
        commit=body.commit or "",
        package_arn=body.package_arn,
        image=body.image or "",
        model_sha256=body.model_sha256 or "",
        replay_sha256=body.replay_sha256 or "",
        policy_sha256=body.policy_sha256,
        verdict_id=record,
    )
    bucket, _, key = names.replay_uri(body.evidence_uri or "").removeprefix("s3://").partition("/")
    source = None
    if body.source:
        source = ModelDataSource(
            bucket=body.source.bucket,
            key=body.source.key,
            version_id=body.source.version_id,
            replay=Rows(bucket=bucket, key=key),
        )
    return GateAnswer(outcome="passed", verdict_id=record, approvals=approvals, release=release, source=source)
