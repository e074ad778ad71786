"""Say how an attempt is getting on, remember its end, and stop one that is past its deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from lambdas import shared
from lambdas.deploy.place import Place
from lockgate import schema
from lockgate.aws.hook_findings import failed_findings, put_finding
from lockgate.errors import NotFoundError, RefusedError
from lockgate.ledger.journal import Asked, find, open_attempt
from lockgate.release.attempts import (
    Attempt,
    Question,
    Status,
    began,
    end_of,
    is_past,
    question_about,
    reason_of_failure,
    remembered_success,
    stopped,
    wanted_by,
)
from lockgate.release.hook_findings import HookFinding
from lockgate.release.parameters import JudgedRelease
from lockgate.release.stack import Stack
from lockgate.release.workflow import DeployRequest, StatusRequest


def status(place: Place, request: DeployRequest | StatusRequest) -> dict[str, Any]:
    wanted = request.release if isinstance(request, DeployRequest) else None
    said: dict[str, Any] = schema.write(status_of(place, Question(request.token, wanted)))
    return said


def look(place: Place) -> dict[str, Any]:
    """An end that nobody waits for any more is remembered, and what is past its deadline is stopped."""
    attempt = open_attempt(place.journal.entries())
    if attempt is None:
        return {"status": "NOTHING"}
    said = status_of(place, question_about(attempt)).status
    if said == "IN_PROGRESS" and is_past(attempt, place.deadline(attempt), shared.now()):
        return stop(place, attempt.token)
    return {"status": said}


def stop(place: Place, token: str) -> dict[str, Any]:
    """Our own deadline: nothing else ends a deployment that hangs before CloudFormation does, after hours.

    Another's update is left alone, such as a `cdk deploy` long after an attempt that failed.
    """
    attempt = began(place.journal.entries(), token)
    if attempt is None:
        raise RefusedError(f"stop: no attempt with token {token!r} was begun here")
    stack = place.stack()
    if place.deployments.runs(stack, token):
        release = attempt.body.to if isinstance(attempt.body, Asked) else attempt.body.release
        finding = HookFinding(release.verdict_id, False, stopped(place.deadline(attempt)))
        put_finding(place.s3, place.settings.releases_bucket, place.model, token, finding)
        place.deployments.stop(stack)
    return {"status": "IN_PROGRESS"}


def status_of(place: Place, asked: Question) -> Status:
    journal = place.journal.entries()
    success = remembered_success(journal, asked.token)
    if success:
        return success
    operator = find(journal, Asked, asked.token) if asked.release is None else None
    wanted = wanted_by(asked, operator)
    try:
        stack = place.stack()
    except NotFoundError as error:
        return Status("FAILED", str(error), None, place.url, None)
    progress = place.deployments.progress(stack, wanted, asked.token)
    if progress.status == "FAILED":
        progress = replace(progress, reason=_why(place, stack, began(journal, asked.token), wanted, progress.reason))
    end = end_of(progress, operator, stack.release, place.url, shared.now())
    ended = place.remember(asked.token, end) if end else None
    return Status(progress.status, progress.reason, stack.release, place.url, ended.sequence if ended else None)


def _why(place: Place, stack: Stack, attempt: Attempt | None, wanted: JudgedRelease, said: str) -> str:
    """Why an attempt failed: what was found and what went off since it began, before what CloudFormation says."""
    if attempt is None:
        return said
    since, bucket = datetime.fromisoformat(attempt.time), place.settings.releases_bucket
    findings = failed_findings(place.s3, bucket, place.model, wanted.verdict_id, since)
    alarms = place.deployments.alarmed(stack, place.cloudwatch, since)
    return reason_of_failure((finding.message for finding in findings), alarms, said)
