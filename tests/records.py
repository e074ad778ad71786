"""Records of every kind for tests: whole, with what a test says otherwise."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from lockgate.evidence.document import Data
from lockgate.ledger import kinds
from lockgate.ledger.chain import Chain, ReleaseChain, StackChain
from lockgate.ledger.records import Entry
from lockgate.release.parameters import JudgedRelease, Release
from lockgate.statistics.budget import Budget

TIME = "2026-11-21T00:00:00.000Z"
SAID = {"person": "grace", "user_arn": "arn:aws:sts::1:assumed-role/lockgate-approver/grace", "reason": "why"}
BUDGET = Budget(rate=0.05, scope="holdout", decisions=32, feedback="every-verdict")
STACKS = {"assembly": "a" * 64, "commit": "c" * 40, "run": "17.1", "actor_id": "100"}


def release(version: int = 1, **changes: str) -> Release:
    made = Release(
        version=str(version),
        commit="c" * 40,
        package_arn=f"package/{version}",
        image="repository@sha256:" + "1" * 64,
        model_sha256="2" * 64,
        replay_sha256="e" * 64,
        policy_sha256="d" * 64,
        verdict_id="income/1",
        model_version_id="v1",
    )
    return replace(made, **changes)


def judged(version: int = 1, **changes: str) -> JudgedRelease:
    return release(version, **changes).judged


def data(**changes: Any) -> Data:
    made = Data("5" * 16, "1" * 64, "2" * 64, "3" * 64, "6" * 64, "7" * 64, 68000, 69126)
    return replace(made, **changes)


def reason(rule: str = "ranking", outcome: kinds.Outcome = "passed", message: str = "of 9 rows") -> kinds.Reason:
    return kinds.Reason(rule=rule, outcome=outcome, message=message)


def verdict(**changes: Any) -> kinds.Verdict:
    known = {field.name: None for field in fields(kinds.Verdict)}
    made = kinds.Verdict(
        **{
            **known,
            "outcome": "passed",
            "reasons": (reason(),),
            "policy_sha256": "d" * 64,
            "approvals": 0,
            "package_arn": "package/1",
            "metrics": {},
            "budget": BUDGET,
            "feedback": BUDGET.feedback,
            "assurance": BUDGET.LEVEL,
        }
    )
    return replace(made, **changes)


def request(**changes: Any) -> kinds.ApprovalRequest:
    made = kinds.ApprovalRequest(
        task_token="token", verdict_id="income/1", approvals=1, expires="2026-11-28T00:00:00.000Z"
    )
    return replace(made, **changes)


def approval(person: str = "grace", request: str = "income/1", **changes: Any) -> kinds.Approval:
    said = {**SAID, "person": person, "request": request, "authors": (), "verdict_id": "income/1"}
    return kinds.Approval(**{**said, **changes})


def rejection(person: str = "grace", request: str = "income/1", **changes: Any) -> kinds.Rejection:
    said = {**SAID, "person": person, "request": request, "authors": (), "verdict_id": "income/1"}
    return kinds.Rejection(**{**said, **changes})


def deployment(outcome: kinds.Ending = "succeeded", version: int = 1, **changes: Any) -> kinds.Deployment:
    said = {"outcome": outcome, "release": release(version), "url": "https://service/income", "reason": ""}
    return kinds.Deployment(**{**said, "place": None, **changes})


def waiver(rule: str = "ranking", **changes: Any) -> kinds.Waiver:
    said = {**SAID, "rule": rule, "expires": "2026-12-01T00:00:00.000Z", "verdict_id": "income/1"}
    return kinds.Waiver(**{**said, **changes})


def holdout(holdout_sha256: str, snapshot: str = "6" * 16, **changes: Any) -> kinds.Holdout:
    made = kinds.Holdout(
        snapshot=snapshot,
        holdout_sha256=holdout_sha256,
        features_sha256="4" * 64,
        train_sha256="5" * 64,
        holdout_identities_sha256="8" * 64,
        train_identities_sha256="9" * 64,
        rows=69126,
        person="grace",
        user_arn=str(SAID["user_arn"]),
        compared=(),
    )
    return replace(made, **changes)


def snapshot_choice(snapshot: str = "6" * 16, before: str | None = None, **changes: Any) -> kinds.SnapshotChoice:
    return kinds.SnapshotChoice(**{**SAID, "snapshot": snapshot, "before": before, **changes})


def rollback(before: int = 2, to: int = 1, **changes: Any) -> kinds.Rollback:
    said = {**SAID, "from_": str(before), "to": str(to), "verdict_id": "income/1", "at": TIME, "place": 1}
    return kinds.Rollback(**{**said, **changes})


def restore(to: int = 1, **changes: Any) -> kinds.Restore:
    said = {**SAID, "from_": None, "to": str(to), "verdict_id": "income/1", "at": TIME, "place": 1}
    return kinds.Restore(**{**said, **changes})


def break_glass(person: str = "ada", **changes: Any) -> kinds.BreakGlass:
    return kinds.BreakGlass(**{**SAID, "person": person, "package_arn": "package/1", **changes})


def acknowledgement(break_glass: str, **changes: Any) -> kinds.Acknowledgement:
    return kinds.Acknowledgement(**{**SAID, "break_glass": break_glass, **changes})


def retirement(*cut_off: str, **changes: Any) -> kinds.Retirement:
    return kinds.Retirement(**{**SAID, "cut_off": cut_off, **changes})


def stack_request(approvals: int = 1, **changes: Any) -> kinds.StackApprovalRequest:
    return kinds.StackApprovalRequest(**{**STACKS, "approvals": approvals, **changes})


def stack_deployment(outcome: kinds.Ending = "succeeded", **changes: Any) -> kinds.StackDeployment:
    return kinds.StackDeployment(**{**STACKS, "outcome": outcome, "reason": "", **changes})


def stack_approval(request: str, person: str = "grace", **changes: Any) -> kinds.StackApproval:
    return kinds.StackApproval(**{**SAID, "person": person, "request": request, **changes})


def stack_rejection(request: str, person: str = "grace", **changes: Any) -> kinds.StackRejection:
    return kinds.StackRejection(**{**SAID, "person": person, "request": request, **changes})


ALL = (
    verdict(),
    request(),
    approval(),
    rejection(),
    deployment(),
    waiver(),
    holdout("3" * 64),
    snapshot_choice(),
    rollback(),
    restore(),
    break_glass(),
    acknowledgement("income/1"),
    retirement(),
)


def entry(body: kinds.Body, version: int = 1, environment: str = "dev", entry_id: str = "") -> Entry[Any]:
    return Entry(entry_id or f"{body.KIND}:{version}:{environment}", version, environment, body)


def chain_of(*entries: Entry[Any], model: str = "income", time: str = TIME) -> ReleaseChain:
    chain: ReleaseChain = Chain(model)
    for each in entries:
        chain = chain.extended(each, time)
    return chain


def stack_chain_of(*entries: Entry[Any]) -> StackChain:
    chain: StackChain = Chain("infrastructure")
    for each in entries:
        chain = chain.extended(each, TIME)
    return chain
