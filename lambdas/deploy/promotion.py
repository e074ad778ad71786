"""Begin a promotion: copy what the release names into this environment, then ask CloudFormation to pin it."""

from __future__ import annotations

from typing import Any

from lambdas import shared
from lambdas.deploy.place import Place
from lambdas.deploy.progress import status_of
from lockgate import schema
from lockgate.aws.copies import copy_model, copy_replay
from lockgate.aws.images import copy_image
from lockgate.ledger.journal import Started, open_attempt
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


def start(place: Place, request: DeployRequest) -> dict[str, Any]:
    wanted = request.release
    stack = _stack_for(place, wanted)
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
