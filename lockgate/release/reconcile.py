"""What was lost on a version's way, judged from the registry, the ledger and the executions of the workflow.

Events are best effort and functions die. A version that nobody started is started, and one whose first attempt died is
attempted a second time: the name of an execution is taken once, so it is never a third. What is lost after that needs a
person. An end that is recorded is not lost: a refusal, a failed deployment, a request that nobody answered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate import names
from lockgate.evidence.package import Registered
from lockgate.ledger.approval import decision
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import ApprovalRequest, Deployment, Verdict

UNDER_WAY = ("RUNNING", "PENDING_REDRIVE")
DIED = ("FAILED", "TIMED_OUT")  # what a person stopped is ABORTED, and stays so
NAME = re.compile(r"(?P<model>.+?)-(?P<version>[1-9]\d*)(-R(?P<attempt>\d+)|-waiver-\d+)?", re.ASCII)


@dataclass(frozen=True)
class PromotionRun:
    """An execution of the workflow: its name, its status as Step Functions has it, and when it started (sortable)."""

    name: str
    status: str
    started: str


@dataclass(frozen=True)
class Loss:
    """Something lost on a version's way; `execution` would resume it, None when that was done before."""

    version: int
    arn: str
    what: str
    execution: str | None


def version_of(model: str, execution: str) -> int | None:
    """The version that an execution of the workflow carries; None when it is another model's."""
    match = NAME.fullmatch(execution)
    return int(match["version"]) if match and match["model"] == model else None


def losses(
    model: str,
    registered: Sequence[Registered],
    chain: ReleaseChain,
    attempts: Sequence[PromotionRun],
    environments: Sequence[str],
    now: str,
) -> list[Loss]:
    """What is lost now, oldest version first. environments: the way of a release, in order; now: UTC, ISO 8601."""
    served = chain.live(environments[-1])
    found = []
    for package in sorted(registered, key=lambda package: package.version):
        own = [attempt for attempt in attempts if version_of(model, attempt.name) == package.version]
        newest = max(own, key=lambda attempt: attempt.started, default=None)
        arrived = served and served.entry.version >= package.version  # it, or a newer one
        if arrived or any(attempt.status in UNDER_WAY for attempt in own):
            continue
        if newest is None and package.waits:
            first = names.promotion_execution(model, package.version)
            found.append(Loss(package.version, package.arn, _lost(chain, package.version, environments), first))
        elif newest and newest.status in DIED and not _ended(chain, package.version, newest, environments, now):
            what = f"{_lost(chain, package.version, environments)}: {newest.name} {newest.status}"
            second = names.promotion_execution(model, package.version, 2)
            unused = all(attempt.name != second for attempt in own)
            found.append(Loss(package.version, package.arn, what, second if unused else None))
    return found


def _ended(chain: ReleaseChain, version: int, attempt: PromotionRun, environments: Sequence[str], now: str) -> bool:
    """Whether an attempt that failed had come to an end that is recorded."""
    for environment in environments:
        ends = {
            outcome: chain.find(Deployment.id(version, environment, attempt.name, outcome))
            for outcome in ("succeeded", "failed")
        }
        if ends["failed"] and not ends["succeeded"]:
            return True
        request = chain.newest(ApprovalRequest, version, environment)
        if request and decision(chain, request) is None and now >= request.entry.body.expires:
            return True
    return False


def _lost(chain: ReleaseChain, version: int, environments: Sequence[str]) -> str:
    """The first step of the way that has no record."""
    for environment in environments:
        if not chain.of(Verdict, version, environment):
            return f"no verdict for {environment}"
        deployments = chain.of(Deployment, version, environment)
        if not any(record.entry.body.outcome == "succeeded" for record in deployments):
            return f"no deployment in {environment} after its verdict"
    return "no end"
