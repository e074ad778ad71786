"""Begin a promotion: copy what the release names into this environment, then ask CloudFormation to pin it."""

from __future__ import annotations

from typing import Any

from lambdas import shared
from lambdas.deploy.place import Place
from lambdas.deploy.progress import status_of
from lockgate import schema
from lockgate.aws.copies import copy_model, copy_replay
from lockgate.aws.images import copy_image
from lockgate.errors import RefusedError
from lockgate.ledger.journal import Started, open_attempt, why_used
from lockgate.ledger.kinds import Verdict
from lockgate.ledger.reasons import why_not_approved, why_not_judged
from lockgate.release.attempts import (
    Attempt,
    question_about,
    refuse_in_alarm,
    refuse_to_promote,
    refuse_unless_ended,
)
from lockgate.release.parameters import GRADUAL, JudgedRelease, Release
from lockgate.release.stack import Stack
from lockgate.release.workflow import DeployRequest, ModelDataSource

MOST_APPROVALS = 100  # references that are read; no environment asks for so many persons


def start(place: Place, request: DeployRequest) -> dict[str, Any]:
    wanted = request.release
    stack = _stack_for(place, wanted)
    _refuse_unreasoned(place, request)
    if stack.updating and stack.pins(wanted):
        return _begun(place, open_attempt(place.journal.entries()))  # this very release, started before
    release = _copied(place, wanted, request.source)
    stack = _stack_for(place, wanted)  # as it is now: copies may have taken minutes
    stack.refuse_if_busy()
    refuse_in_alarm(place.deployments.alarms(stack, place.cloudwatch))
    _remember_end(place, request.token)
    began = place.remember(request.token, Started(release=release, deadline_minutes=place.deadline()))
    place.deployments.update(stack, release, request.token, GRADUAL)
    return _begun(place, began)


def _refuse_unreasoned(place: Place, request: DeployRequest) -> None:
    """Raises RefusedError unless the ledger has what let exactly this release in: who calls us may say anything.

    It reads the records that the release names, and no chain. One that cannot be read lets nothing in.
    """
    wanted, environment = request.release, place.settings.environment
    store = shared.ledger(place.settings.ledger_bucket)
    record = store.record(place.model, wanted.verdict_id)
    why = why_not_judged(record, wanted, environment)
    if not why and record is not None and isinstance(record.entry.body, Verdict):
        given = [store.record(place.model, reference) for reference in request.approvals.split()[:MOST_APPROVALS]]
        why = why_not_approved(record, [each for each in given if each is not None])
    elif not why:
        why = why_used(place.journal.entries(), wanted.verdict_id, request.token)
    if why:
        raise RefusedError(f"{why}: nothing is released without it; `lockgate promote` asks the gate, and persons")


def _begun(place: Place, attempt: Attempt | None) -> dict[str, Any]:
    return {"status": "IN_PROGRESS", "deadline_minutes": place.deadline(attempt)}


def _stack_for(place: Place, wanted: JudgedRelease) -> Stack:
    """The release stack. Raises RefusedError where this release must not be promoted (any more)."""
    journal, stack = place.journal.entries(), place.stack()
    refuse_to_promote(journal, stack, wanted)
    return stack


def _copied(place: Place, wanted: JudgedRelease, source: ModelDataSource) -> Release:
    """The release, once this environment has its image, its model data and its recorded rows."""
    settings = place.settings
    copy_image(place.ecr, wanted.image, settings.releases_repository, wanted.commit)
    version_id = copy_model(place.s3, source, settings.releases_bucket, place.model, wanted.model_sha256)
    copy_replay(place.s3, source.replay, settings.releases_bucket, place.model, wanted.replay_sha256)
    return Release(**schema.write(wanted), model_version_id=version_id)


def _remember_end(place: Place, token: str) -> None:
    """Of what was begun before this attempt: whoever waits for it must not find our release instead of its own.

    Raises BusyError while it has not ended, until it is past its deadline.
    """
    before = open_attempt([fact for fact in place.journal.entries() if fact.token != token])
    if before:
        refuse_unless_ended(
            before, status_of(place, question_about(before)).status, place.deadline(before), shared.now()
        )
