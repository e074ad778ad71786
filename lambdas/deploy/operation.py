"""Do what an operator asked for: go back to the previous release, or restore one that was lost.

It needs nothing but this account: the release comes from the environment's own journal.
"""

from __future__ import annotations

from typing import Any

from lambdas.deploy.place import Place
from lockgate.aws.images import has_image
from lockgate.errors import BusyError, NotFoundError, RefusedError
from lockgate.ledger.journal import Asked, Ended, Fact, find
from lockgate.release.attempts import mode_towards, target_of
from lockgate.release.parameters import AT_ONCE, Release
from lockgate.release.stack import Stack
from lockgate.release.workflow import OperatorRequest


def operate(place: Place, request: OperatorRequest) -> dict[str, Any]:
    try:
        return _change(place, request)
    except (RefusedError, BusyError, NotFoundError) as error:
        return {"refused": str(error)}


def _change(place: Place, request: OperatorRequest) -> dict[str, Any]:
    """Write down who wants what and why, then do it: what somebody wanted away stays away if we die in between."""
    journal, stack = place.journal.entries(), place.stack()
    asked = find(journal, Asked, request.token)
    if asked is None:
        stack.refuse_if_busy()
        target = target_of(request.action, journal, stack)
        _refuse_without_image(place, target)
        asked = _remember(place, request, stack, target)
    before, wanted = asked.body.from_, asked.body.to
    ended = find(journal, Ended, request.token)  # then it is a call sent again, and moves nothing
    if not ended and not (stack.updating and stack.release == wanted):
        place.deployments.update(stack, wanted, request.token, asked.body.mode or AT_ONCE)
    return {"status": "IN_PROGRESS", "from": before.version if before else None, "to": wanted.version}


def _remember(place: Place, request: OperatorRequest, stack: Stack, target: Release) -> Fact[Asked]:
    asked = Asked(
        action=request.action,
        person=request.person,
        user_arn=request.user_arn,
        reason=request.reason,
        url=place.url,
        from_=stack.release,
        to=target,
        mode=mode_towards(target, stack),
        deadline_minutes=place.deadline(),
    )
    return place.remember(request.token, asked)


def _refuse_without_image(place: Place, release: Release) -> None:
    """Raises RefusedError where the environment has no copy of the image: tasks would never start."""
    repository, digest = place.settings.releases_repository, release.image.rpartition("@")[2]
    if not has_image(place.ecr, repository, digest):
        raise RefusedError(f"version {release.version}: {repository} has no copy of its image {digest}: promote again")
