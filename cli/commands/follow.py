"""Follow a commit until it is live everywhere, refused, failed, or waiting for a person.

Prints each step as it ends: training, verdicts, approvals, deployments. Where the commit changed nothing of the model,
it says whose version is the same, and ends at once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import assert_never

from cli.commands.status import why_not
from cli.context import Context, json_argument, model_argument, open_context
from cli.git import commit_of
from cli.inputs import inputs_of, unchanged
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
    Rollback,
    Verdict,
    Waiver,
)
from lockgate.ledger.records import Record
from lockgate.ledger.standing import waiting
from lockgate.release.fingerprint import found_in

POLL_SECONDS = 0.5
DONE, REFUSED, WAITING = 0, 3, 4
ENDINGS = {DONE: "live", REFUSED: "refused", WAITING: "waiting for approval"}

EXAMPLE = "lockgate follow HEAD --timeout 900"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", help="the commit that was delivered (HEAD)")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds after which to give up (3600)")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    commit = commit_of(context.root, arguments.revision)
    model = context.model(arguments.model)
    deadline = time.monotonic() + arguments.timeout
    if training.newest_of_commit(training.executions(context.client("sagemaker"), model), commit) is None:
        return _unchanged(context, model, commit, json=arguments.json)
    with working(f"{model} of commit {commit[:12]}: training, gates and promotion"):
        version = _trained(context, model, commit, deadline)
        ending = _promoted(context, model, version, deadline)
    facts = {"model": model, "commit": commit, "version": version, "ending": ENDINGS[ending]}
    if arguments.json:
        show_json(facts)
    else:
        show(f"{model} version {version}: {ENDINGS[ending]}")
    return ending


def _unchanged(context: Context, model: str, commit: str, *, json: bool) -> int:
    """Say which training a commit without one of its own stands on. Raises NotFoundError where there is none."""
    sagemaker, codebuild = context.client("sagemaker"), context.client("codebuild")
    uri = names.repository_uri(context.tools.account, context.tools.region, names.MODELS_REPOSITORY)
    image = find_image(context.client("ecr"), names.MODELS_REPOSITORY, uri, commit)
    before = None
    if image is not None:
        inputs = inputs_of(context.root, model, image, "", codebuild=codebuild, sagemaker=sagemaker)
        known = training.executions(sagemaker, model)
        before = found_in(inputs, training.trainings(sagemaker, known))
    if before is None:
        built = build_of(codebuild, commit)
        raise NotFoundError(
            f"commit {commit[:12]}: no training of {model}, and none that started from the same; "
            f"{built or 'was it delivered (`lockgate deliver`)?'}"
        )
    version = training.version_of(training.steps(sagemaker, before.execution))
    for record in context.ledger.chain(model).about(version) if version else ():
        progress(line(f"  {record.entry.environment:<10} ", _line(record)))
    if json:
        facts = {"model": model, "commit": commit, "version": version, "ending": "unchanged", "same_as": before.commit}
        show_json(facts)
    else:
        show(f"{model}: nothing was started for {commit[:12]}: {unchanged(before, commit, version)}")
    return DONE


def _ticks(deadline: float) -> Iterator[None]:
    while True:
        yield
        if time.monotonic() > deadline:
            raise LockgateError("follow: gave up after --timeout; what was started goes on")
        pause(POLL_SECONDS)


def _trained(context: Context, model: str, commit: str, deadline: float) -> int:
    """Follow the newest execution of a commit; the version that it registered. Raises LockgateError when it failed."""
    sagemaker = context.client("sagemaker")
    shown: set[str] = set()
    for _ in _ticks(deadline):
        execution = training.newest_of_commit(training.executions(sagemaker, model), commit)
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
                "names, commit it and deliver again. Where AWS was the cause, `lockgate deliver --again` is enough"
            )
    raise AssertionError("unreachable: _ticks ends by raising")


def _promoted(context: Context, model: str, version: int, deadline: float) -> int:
    shown = 0
    for _ in _ticks(deadline):
        chain = context.ledger.chain(model)
        records = chain.about(version)
        for record in records[shown:]:
            progress(line(f"  {record.entry.environment:<10} ", _line(record)))
        shown = len(records)
        ending = _ending(context, records)
        if ending is not None:
            return ending
        if any(entry["version"] == version for entry in waiting({model: chain}, utc_now())):
            return WAITING
        _refuse_broken_promotion(context, chain, version)
    raise AssertionError("unreachable: _ticks ends by raising")


def _ending(context: Context, records: tuple[Record[ReleaseBody], ...]) -> int | None:
    """What the newest record of a version means, where it means an end; a failed deployment may be tried again."""
    if not records:
        return None
    entry = records[-1].entry
    match entry.body:
        case Rejection():
            return REFUSED
        case Verdict(outcome=decided):
            return None if decided == "passed" else REFUSED
        case Deployment(outcome=ended):
            return DONE if ended == "succeeded" and entry.environment == context.tools.promotion[-1] else None
        case ApprovalRequest() | Approval() | Waiver() | Holdout():
            return None
        case Rollback() | Restore() | BreakGlass() | Acknowledgement():
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
            return line(told, f"; for readers of the ledger: lockgate explain {record.entry.version}")
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
        case Holdout(person=person):
            return f"fresh holdout recorded by {person}"
        case _:
            assert_never(record.entry.body)


def _refuse_broken_promotion(context: Context, chain: ReleaseChain, version: int) -> None:
    """Raise LockgateError when the newest attempt to promote failed, with its record's reason if it left one."""
    machine = names.state_machine_arn(context.tools.account, context.tools.region)
    stepfunctions, model = context.client("stepfunctions"), chain.model
    last = promotions.last_attempt(stepfunctions, machine, model, version, numbers(chain, version))
    # None: the event is still on its way; the reconciler starts what an event lost.
    if last is None or last.status not in ("FAILED", "TIMED_OUT", "ABORTED"):
        return
    records = chain.about(version)
    entry = records[-1].entry if records else None
    if entry is not None and isinstance(entry.body, Deployment):
        raise LockgateError(f"deployment to {entry.environment} failed: {entry.body.reason}")
    todo = why_not(context, chain, version) or f"`lockgate promote {version} --model {model}` tries again"
    raise LockgateError(f"promotion {last.name}: {last.status}: {last.reason}; {todo}")
