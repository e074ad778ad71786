"""Follow a commit until it is live everywhere, refused, failed, or waiting for a person.

Prints each step as it ends: training, verdicts, approvals, deployments. Where the commit changed nothing of the model,
it says whose version is the same, and follows that one: it ends as that one does.

Without --model it follows each model that has a training. What ends worst is the exit code.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple, assert_never

from cli.commands.status import why_not
from cli.context import Context, json_argument, model_argument, open_context
from cli.git import commit_of, relation
from cli.inputs import inputs_of, superseded, unchanged
from cli.terminal import Shown, line, outcome, progress, show, show_json, utc_now, working
from lockgate import names
from lockgate.aws import promotions, training
from lockgate.aws.delivery import build_of, find_image
from lockgate.clock import pause
from lockgate.errors import LockgateError, NotFoundError
from lockgate.gate.holdout import tells_authors, tells_numbers
from lockgate.gate.waiver import numbers
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import (
    Acknowledgement,
    Approval,
    ApprovalRequest,
    BreakGlass,
    Deployment,
    Holdout,
    Rejection,
    ReleaseBody,
    Restore,
    Retirement,
    Rollback,
    SnapshotChoice,
    Verdict,
    Waiver,
)
from lockgate.ledger.records import Record
from lockgate.ledger.standing import waiting
from lockgate.release.advice import deliver_again
from lockgate.release.fingerprint import Training, found_in

POLL_SECONDS = 0.5


class WayEnded(NamedTuple):
    """How the way of a version ends: the exit code, and what is said."""

    code: int
    said: str


DONE, REFUSED, WAITING = WayEnded(0, "live"), WayEnded(3, "refused"), WayEnded(4, "waiting for approval")
FAILED = 1

EXAMPLE = "lockgate follow HEAD --timeout 900"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", help="the commit that was delivered (HEAD)")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds after which to give up (3600)")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    commit = commit_of(context.root, arguments.revision)
    models = context.models(arguments.model)
    deadline = time.monotonic() + arguments.timeout
    followed, codes, missing = [], [], []
    for model in models:
        try:
            facts, code = _follow(context, model, commit, deadline, json=arguments.json)
            followed.append(facts)
        except LockgateError as error:  # which one model's training stops no other one's
            if len(models) == 1:
                raise
            if isinstance(error, NotFoundError):
                missing.append(error)
                continue
            progress(line(f"{model}: ", str(error)))
            code = FAILED
        codes.append(code)
    if not codes:
        raise missing[0]
    if arguments.json:
        show_json(followed[0] if len(models) == 1 else {"commit": commit, "models": followed})
    return next(code for code in (FAILED, REFUSED.code, WAITING.code, DONE.code) if code in codes)


def _follow(context: Context, model: str, commit: str, deadline: float, *, json: bool) -> tuple[dict[str, object], int]:
    """The facts of how a commit's model ended, and the exit code for it. Raises LockgateError where it failed."""
    before = None
    if training.newest_of_commit(training.executions(context.client("sagemaker"), model), commit) is None:
        before = _same(context, model, commit)
        if not json:
            progress(f"{model}: nothing was started for {commit[:12]}: {unchanged(before, commit)}")
    with working(f"{model} of commit {commit[:12]}: training, gates and promotion"):
        version = _trained(context, model, commit, before, deadline)
        ended = _promoted(context, model, version, deadline)
    if not json:
        show(f"{model} version {version}: {ended.said}")
    facts = {"model": model, "commit": commit, "version": version, "ending": ended.said}
    return {**facts, "same_as": before.commit if before else None}, ended.code


def _same(context: Context, model: str, commit: str) -> Training:
    """The training that a commit without one of its own stands on. Raises NotFoundError where there is none."""
    sagemaker, codebuild = context.client("sagemaker"), context.client("codebuild")
    uri = names.repository_uri(context.tools.account, context.tools.region, names.MODELS_REPOSITORY)
    image = find_image(context.client("ecr"), names.MODELS_REPOSITORY, uri, commit)
    if image is None:
        built = build_of(codebuild, commit) or "was it delivered (`lockgate deliver`)?"
        raise NotFoundError(f"commit {commit[:12]}: found no image and no training of {model}: {built}")
    inputs = inputs_of(context.root, model, image, "", codebuild=codebuild, sagemaker=sagemaker)
    known = list(training.trainings(sagemaker, training.executions(sagemaker, model)))
    before = found_in(inputs, known)
    if before is not None:
        return before
    why = "was it delivered (`lockgate deliver`)?"
    if known and (stands := relation(context.root, commit, known[0].commit)).older:
        why = superseded(known[0], commit, stands)
    raise NotFoundError(f"commit {commit[:12]}: no training of {model}, and none that started from the same: {why}")


def _ticks(deadline: float) -> Iterator[None]:
    while True:
        yield
        if time.monotonic() > deadline:
            raise LockgateError("follow: gave up after --timeout; what was started goes on")
        pause(POLL_SECONDS)


def _trained(context: Context, model: str, commit: str, before: Training | None, deadline: float) -> int:
    """Follow the newest execution of a commit, or the one that it stands on; the version that it registered.

    Raises LockgateError when it failed.
    """
    sagemaker = context.client("sagemaker")
    shown: set[str] = set()
    for _ in _ticks(deadline):
        known = training.executions(sagemaker, model)
        if before is None:
            execution = training.newest_of_commit(known, commit)
        else:
            execution = next((each for each in known if each.arn == before.execution), None)
        if execution is None:
            raise NotFoundError(f"commit {commit[:12]}: its training of {model} is gone")
        steps = training.steps(sagemaker, execution.arn)
        for step in steps:
            if step.seconds is not None and step.name not in shown:
                shown.add(step.name)
                progress(line(f"  {step.name:<10} ", outcome(step.status), f" in {step.seconds:.1f} s"))
        if execution.status == "Succeeded":
            version = training.version_of(steps)
            if version is None:
                raise LockgateError(f"training of {model}: it succeeded without registering a version")
            return version
        if execution.status in ("Failed", "Stopped"):
            reasons = [f"{step.name}: {step.failure}" for step in steps if step.failure]
            raise LockgateError(
                f"training of {model}: {execution.status}: {'; '.join(reasons) or execution.failure}; mend what it "
                f"names and commit it. Where AWS was the cause, {deliver_again(commit[:12])} is enough"
            )
    raise AssertionError("unreachable: _ticks ends by raising")


def _promoted(context: Context, model: str, version: int, deadline: float) -> WayEnded:
    shown = 0
    for _ in _ticks(deadline):
        chain = context.ledger.chain(model)
        records = chain.about(version)
        for record in records[shown:]:
            progress(line(f"  {record.entry.environment:<10} ", _line(record)))
        shown = len(records)
        ending = ending_of(chain, version, context.tools.promotion[-1])
        if ending is not None:
            return ending
        if any(entry["version"] == version for entry in waiting({model: chain}, utc_now())):
            return WAITING
        _refuse_ended_promotion(context, chain, version)
    raise AssertionError("unreachable: _ticks ends by raising")


def ending_of(chain: ReleaseChain, version: int, last: str) -> WayEnded | None:
    """What the newest record of a version means, where it means an end; a failed deployment may be tried again.

    last: the last environment of a promotion. That somebody looked at a broken glass, or retired the model, is no other
    end.
    """
    no_end = (Acknowledgement, Retirement)
    records = [each for each in chain.about(version) if not isinstance(each.entry.body, no_end)]
    if not records:
        return None
    entry = records[-1].entry
    match entry.body:
        case Rejection():
            return REFUSED
        case Verdict(outcome=decided):
            return None if decided == "passed" else REFUSED
        case Deployment(outcome=ended):
            if ended != "succeeded" or entry.environment != last:
                return None
            served = chain.live(last)
            if served is None or served.entry.version == version:
                return DONE
            return WayEnded(DONE.code, f"was live until version {served.entry.version}")
        case Rollback() as asked if entry.environment == last:
            return WayEnded(REFUSED.code, f"rolled back from in {last}, which serves version {asked.to} since")
        case ApprovalRequest() | Approval() | Waiver() | Holdout() | SnapshotChoice() | Acknowledgement():
            return None
        case Rollback() | Restore() | BreakGlass() | Retirement():
            return None
        case _:
            assert_never(entry.body)


def _line(record: Record[ReleaseBody]) -> Shown:
    match record.entry.body:
        case Verdict() as verdict:
            # An author who learns numbers fits the holdout; the guarantee of a budget counts on one bit at most.
            passed = verdict.outcome == "passed"
            told = outcome("passed" if passed else "refused") if tells_authors(verdict.feedback, passed) else "decided"
            if tells_numbers(verdict):
                against = [f"; {each.rule} {each.outcome}: {each.message}" for each in verdict.reasons]
                return line(told, f" under {verdict.assurance} assurance", *against)
            explain = f"lockgate explain {record.entry.version} --model {record.model}"
            return line(told, f"; for readers of the ledger: {explain}")
        case Deployment(outcome=ended):
            return line("deployment ", outcome(ended))
        case Waiver(rule=rule, person=person, reason=reason):
            return f"{rule} waived by {person}: {reason}"
        case Approval(person=person, reason=reason) | Rejection(person=person, reason=reason):
            return f"{record.entry.kind} by {person}: {reason or 'no reason given'}"
        case ApprovalRequest():
            return "waits for an approval"
        case Rollback() as asked:
            return f"rolled back from version {asked.from_} to {asked.to} by {asked.person}: {asked.reason}"
        case Restore() as asked:
            return f"version {asked.to} restored by {asked.person}: {asked.reason}"
        case BreakGlass(person=person, reason=reason):
            return f"break-glass by {person}: {reason}"
        case Acknowledgement(person=person, reason=reason):
            return f"break-glass acknowledged by {person}: {reason}"
        case Retirement(person=person, reason=reason):
            return f"model retired by {person}: {reason}"
        case Holdout(person=person):
            return f"fresh holdout recorded by {person}"
        case SnapshotChoice(snapshot=snapshot, person=person, reason=reason):
            return f"snapshot {snapshot} chosen for training by {person}: {reason}"
        case _:
            assert_never(record.entry.body)


def _refuse_ended_promotion(context: Context, chain: ReleaseChain, version: int) -> None:
    """Raise LockgateError when no attempt to promote goes on, with its record's reason if it left one."""
    machine = names.state_machine_arn(context.tools.account, context.tools.region)
    stepfunctions, model = context.client("stepfunctions"), chain.model
    last = promotions.last_attempt(stepfunctions, machine, model, version, numbers(chain, version))
    # None: the event is still on its way; the reconciler starts what an event lost.
    if last is None or last.status == "RUNNING":
        return
    records = chain.about(version)
    entry = records[-1].entry if records else None
    if entry is not None and isinstance(entry.body, Deployment) and entry.body.outcome == "failed":
        raise LockgateError(f"deployment to {entry.environment} failed: {entry.body.reason}")
    todo = why_not(context, chain, version)
    if last.status == "SUCCEEDED":
        if todo:  # else its last record is still on its way
            raise LockgateError(f"promotion {last.name}: it goes no further: {todo}")
        return
    todo = todo or f"`lockgate promote {version} --model {model}` tries again"
    raise LockgateError(f"promotion {last.name}: {last.status}: {last.reason}; {todo}")
