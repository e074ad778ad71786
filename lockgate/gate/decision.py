"""One decision of a gate: what it says of a version for an environment, from everything that was fetched about it.

A decision is a function of its case and of the ledger's chain, so that it can be made again, and measured, without AWS.

What is decided has a name: the model's contents, what was measured of it and of the champion on which labels by which
evaluator, the rules that look at these numbers, and their assurance. The same name again, of another version or for
another environment, is the same decision: it is made at the level of the first one and spends nothing, whatever it was.
A model whose contents are the champion's, and which answers these rows as the champion did, is unchanged: no rule looks
at a row. What is known without a row (a scan, an age, approvals) is judged anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from lockgate import canonical
from lockgate.configuration.environment import Environment
from lockgate.evidence.document import Evidence
from lockgate.evidence.package import Lineage
from lockgate.gate.holdout import Usage, tells_authors, tells_numbers, usage, why_not
from lockgate.gate.readings import readings_of
from lockgate.gate.verdict import Circumstances, Judgement, Outcome, judge, refusal
from lockgate.gate.verification import Artifacts, Expected, Package, verify
from lockgate.gate.waiver import newest, waived
from lockgate.ledger import kinds
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.records import Entry, Record
from lockgate.policy.rules import Compare, Policy, Require
from lockgate.statistics.budget import Budget

WAITING, REJECTED = "PendingManualApproval", "Rejected"  # how the registry marks a package


@dataclass(frozen=True)
class Case:
    """What one decision is about. artifacts: what the accounts hold, as it was fetched once; now: UTC, ISO 8601.

    policy: of this model in this environment.

    champions: the environment whose release is the champion, which is the last one.
    break_glass: the record for whose sake the policy is not asked, by reference; "" where the policy is asked.
    """

    expected: Expected
    artifacts: Artifacts
    environment: Environment
    policy: Policy
    champions: str
    now: str
    break_glass: str = ""


class _Spending(NamedTuple):
    """What a decision may spend of its holdout.

    alpha: None where it may not look at a row, or need not; unfit: why it may not, or "". decision: its name, "" where
    nothing is decided about rows. first: the verdict that made the same decision before, whose level this one has.
    unchanged: the version that serves this very model, or None.
    """

    used: Usage | None = None
    alpha: float | None = None
    unfit: str = ""
    decision: str = ""
    first: Record[kinds.Verdict] | None = None
    unchanged: int | None = None


def name_of(
    expected: Expected, environment: str, policy: Policy, chain: ReleaseChain, now: str, break_glass: str = ""
) -> str:
    """The id of the decision's record: another policy, a newer waiver or another package asks anew."""
    version = expected.version
    if break_glass:
        return kinds.Verdict.id_behind(version, environment, break_glass)
    waiver = newest(chain, version, environment, now)
    return kinds.Verdict.id(version, environment, policy.sha256, expected.package_arn, waiver)


def recorded(chain: ReleaseChain, decision: str) -> Record[kinds.Verdict] | None:
    """The verdict of this decision, where it was made before."""
    return next((verdict for verdict in chain.of(kinds.Verdict) if verdict.entry.id == decision), None)


def entry_of(decision: str, case: Case, chain: ReleaseChain) -> Entry[kinds.Verdict]:
    """The verdict as of this chain: whoever wins the next number has counted every decision before it."""
    return Entry(decision, case.expected.version, case.environment.name, decide(case, chain))


def decide(case: Case, chain: ReleaseChain) -> kinds.Verdict:
    """What was decided, on which numbers, about which artifacts; null is "not known"."""
    version, policy = case.expected.version, case.policy
    artifacts = case.artifacts
    if artifacts.package:
        artifacts = replace(artifacts, package=unmarked(artifacts.package, chain, version))
    checked = verify(case.expected, artifacts)
    trusted = None if checked.reasons else checked.evidence
    champion = chain.live(case.champions)
    spending = _spending(case, trusted, champion, chain)
    if trusted is None:
        said = Judgement(tuple(checked.reasons))
    elif spending.unfit:
        said = refusal("holdout", spending.unfit, Outcome.INCONCLUSIVE)
    else:
        circumstances = _circumstances(case, trusted, spending, champion, chain)
        said = judge(policy, _of_served(trusted, artifacts, champion), circumstances)
    verdict = _body(case, said, spending, champion)
    if checked.lineage:
        verdict = _with_lineage(verdict, checked.lineage)
    if trusted:
        verdict = _with_evidence(verdict, trusted)
    return replace(_with_artifacts(verdict, artifacts), origin=checked.origin)


def unmarked(package: Package, chain: ReleaseChain, version: int) -> Package:
    """Without the mark that an earlier gate's refusal left in the registry; a person's rejection stays."""
    refused = any(record.entry.body.outcome != "passed" for record in chain.of(kinds.Verdict, version))
    return replace(package, approval=WAITING) if refused and package.approval == REJECTED else package


def may_mark(package: Package, verdict: Record[kinds.Verdict]) -> bool:
    """Whether the registry may show what was decided: to authors it is the bit that the budget counts on.

    An event may name another package under a version that was judged: that one is left alone.
    """
    body, version = verdict.entry.body, verdict.entry.version
    same = (package.arn, package.version) == (body.package_arn, version)
    return same and tells_authors(body.feedback, body.outcome == "passed")


def mark_of(verdict: Record[kinds.Verdict]) -> str:
    """What the registry says of a decision: how it ended, and its reasons only where authors may see numbers."""
    body = verdict.entry.body
    said = f"verdict {verdict.reference}: {'passed' if body.outcome == 'passed' else 'not passed'}"
    reasons = [f"{each.rule} {each.outcome}: {each.message}" for each in body.reasons] if tells_numbers(body) else []
    return "; ".join([said, *reasons])


def _spending(
    case: Case, trusted: Evidence | None, champion: Record[kinds.Deployment] | None, chain: ReleaseChain
) -> _Spending:
    if trusted is None:
        return _Spending()
    assurance, version = case.policy.assurance, case.expected.version
    used = usage(chain, trusted.data.labels_sha256, version)
    unchanged = _unchanged(trusted, champion, chain)
    if unchanged is not None:
        return _Spending(used, unchanged=unchanged)
    decision = _decision(case, _of_served(trusted, case.artifacts, champion), champion)
    first = _first(decision, chain)
    if first is not None:
        return _Spending(used, first.entry.body.alpha, decision=decision, first=first)
    unfit = why_not(chain, trusted.data, assurance, version)
    return _Spending(used, None if unfit else used.level(assurance), unfit, decision)


def _decision(case: Case, evidence: Evidence, champion: Record[kinds.Deployment] | None) -> str:
    """The name of a decision: all that the rules which look at rows depend on, but for the level, as one digest."""
    policy, evaluation = case.policy.as_dict(), case.artifacts.evaluation
    rules = [rule for rule in policy.pop("rules") if rule["kind"] != Require.kind]
    return canonical.sha256(
        canonical.to_bytes(
            {
                "contents": evidence.contents_sha256,
                "target": evidence.target.as_dict(),
                "metrics": {name: metric.as_dict() for name, metric in evidence.metrics.items()},
                "groups": {
                    attribute: {value: group.as_dict() for value, group in groups.items()}
                    for attribute, groups in evidence.groups.items()
                },
                "champion": evidence.champion.as_dict() if evidence.champion else None,
                "champion_missing": evidence.champion_missing,
                "served": champion.entry.body.release.model_sha256 if champion else None,
                "labels": evidence.data.labels_sha256,
                "evaluator": evaluation.image if evaluation else None,
                "rules": rules,
                **policy,  # the assurance
            }
        )
    )


def _first(decision: str, chain: ReleaseChain) -> Record[kinds.Verdict] | None:
    """The verdict that made this decision, and spent for it, if one did."""
    verdicts = (record for record in chain.of(kinds.Verdict) if record.entry.body.decision == decision)
    return next((verdict for verdict in verdicts if verdict.entry.body.same_as is None), None)


def _unchanged(evidence: Evidence, champion: Record[kinds.Deployment] | None, chain: ReleaseChain) -> int | None:
    """The version that serves the very model that is asked about, if it answered these rows alike; else None."""
    judged = chain.referred(champion.entry.body.release.verdict_id) if champion else None
    before = judged.entry.body if judged else None
    if champion is None or not isinstance(before, kinds.Verdict) or before.data is None:
        return None
    asked = (evidence.contents_sha256, evidence.data.labels_sha256, _numbers(evidence))
    same = (before.contents_sha256, before.data.labels_sha256, before.metrics) == asked
    return champion.entry.version if same else None


def _numbers(evidence: Evidence) -> dict[str, kinds.Number]:
    return {
        name: kinds.Number(value=metric.value, rows=metric.rows, statistics=dict(metric.statistics))
        for name, metric in evidence.metrics.items()
    }


def _circumstances(
    case: Case, trusted: Evidence, spending: _Spending, champion: Record[kinds.Deployment] | None, chain: ReleaseChain
) -> Circumstances:
    evaluation, scan, version = case.artifacts.evaluation, case.artifacts.scan, case.expected.version
    ended = evaluation.ended if evaluation else ""
    readings = readings_of(trusted, ended=ended, now=case.now, chain=chain, version=version)
    champion_sha256 = champion.entry.body.release.model_sha256 if champion else ""
    comparing = [rule.name for rule in case.policy.rules if isinstance(rule, Compare)]
    return Circumstances(
        alpha=spending.alpha or 0.0,
        unchanged=f"version {spending.unchanged} serves this very model" if spending.unchanged is not None else "",
        champion_sha256=champion_sha256,
        readings={**readings, **(scan.readings() if scan else {})},
        waived=waived(chain, version, case.environment.name, case.now, comparing, champion_sha256),
    )


def _of_served(trusted: Evidence, artifacts: Artifacts, champion: Record[kinds.Deployment] | None) -> Evidence:
    """The evidence, without its champion unless the predictions were made by the very image that is served.

    Why another image could not predict says nothing of the one that is served, which may.
    """
    image = artifacts.evaluation.champion_image if artifacts.evaluation else ""
    served = champion is not None and champion.entry.body.release.image == image
    return trusted if served else replace(trusted, champion=None, champion_missing="")


def _body(case: Case, said: Judgement, spending: _Spending, champion: Record[kinds.Deployment] | None) -> kinds.Verdict:
    """The record's body as far as it is known of every case."""
    environment, policy, used = case.environment, case.policy, spending.used
    return kinds.Verdict(
        outcome=said.outcome.value,
        reasons=tuple(
            kinds.Reason(rule=each.rule, outcome=each.outcome.value, message=each.message, dry_run=each.dry_run)
            for each in said.reasons
        ),
        policy_sha256=policy.sha256,
        approvals=environment.approvals,
        package_arn=case.expected.package_arn,
        champion=_served(champion) if champion else None,
        # What this decision spent of the holdout; a decision that looked at no row spends nothing.
        alpha=spending.alpha,
        spent_before=used.spent if used else None,
        holdout=used.holdout if used else None,
        budget=policy.assurance if isinstance(policy.assurance, Budget) else None,
        feedback=policy.assurance.feedback,
        assurance=policy.assurance.LEVEL,
        break_glass=case.break_glass or None,
        decision=None if spending.alpha is None else spending.decision,
        same_as=spending.first.reference if spending.first else None,
        metrics={},
        **_UNKNOWN,
    )


# What only a package with lineage, evidence and artifacts says.
_UNKNOWN = dict.fromkeys(
    (
        *("commit", "image", "actor", "execution", "snapshot", "model_sha256", "evidence_sha256", "evidence_uri"),
        *("delivered_by", "scan", "origin", "evaluator_image", "source"),
        *("replay_sha256", "data", "features", "parameters", "holdout_sha256"),
    )
)


def _served(deployment: Record[kinds.Deployment]) -> kinds.Served:
    release = deployment.entry.body.release
    return kinds.Served(
        version=deployment.entry.version,
        model_sha256=release.model_sha256,
        image=release.image,
        since=deployment.time,
    )


def _with_lineage(verdict: kinds.Verdict, lineage: Lineage) -> kinds.Verdict:
    return replace(
        verdict,
        commit=lineage.commit,
        image=lineage.image,
        actor=lineage.actor,
        execution=lineage.execution,
        snapshot=lineage.snapshot,
        model_sha256=lineage.model_sha256,
        evidence_sha256=lineage.evidence_sha256,
        evidence_uri=lineage.evidence_uri,
    )


def _with_evidence(verdict: kinds.Verdict, trusted: Evidence) -> kinds.Verdict:
    return replace(
        verdict,
        replay_sha256=trusted.replay_sha256,
        contents_sha256=trusted.contents_sha256,
        metrics=_numbers(trusted),
        data=trusted.data,
        features=trusted.features,
        parameters=dict(trusted.parameters),
        holdout_sha256=trusted.data.labels_sha256 if verdict.alpha and verdict.same_as is None else None,
    )


def _with_artifacts(verdict: kinds.Verdict, artifacts: Artifacts) -> kinds.Verdict:
    scan, data = artifacts.scan, artifacts.model_data
    return replace(
        verdict,
        delivered_by=artifacts.started_by or None,
        scan=kinds.Scan(status=scan.status, counts=dict(scan.counts)) if scan else None,
        evaluator_image=artifacts.evaluation.image if artifacts.evaluation else None,
        source=kinds.Source(bucket=data.bucket, key=data.key, version_id=data.version_id) if data else None,
    )
