"""What an environment may begin, what became of what it began, and where its operators lead it back to.

An attempt is one change of what an environment serves of a model: a promotion, a rollback or a restore, known by its
token. Everything is decided from the environment's own journal, from the release stack as it was read, and from the
clock; nothing here asks AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from lockgate.errors import BusyError, RefusedError
from lockgate.ledger.journal import Action, Fact, find, last, previous, refuse_if_rolled_back
from lockgate.release.parameters import (
    AT_ONCE,
    AT_ONCE_AGAIN,
    MODE_PARAMETER,
    PARAMETERS,
    Release,
    read_version,
    refuse_if_superseded,
)
from lockgate.release.stack import Progress, Stack

LONGEST_RUN = timedelta(minutes=15)  # of any Lambda function
COPY = "model_version_id"  # the one field of a release that is the environment's own


def read_promoted(release: object) -> dict[str, str]:
    """What a promotion asks for: a release without the environment's own copy. Raises RefusedError."""
    if not isinstance(release, dict) or set(release) != set(PARAMETERS) - {COPY}:
        raise RefusedError(f"release: found {release!r}, expected all fields but {COPY}")
    read_version(release["version"])
    return release


def promoted(release: Mapping[str, str]) -> dict[str, str]:
    """What a promotion asked for, of a release that an environment has its own copy of."""
    return {name: value for name, value in release.items() if name != COPY}


class Asked(NamedTuple):
    """How an attempt is asked about. release: what its promotion asks for; None for what a person asked for."""

    token: str
    release: Mapping[str, str] | None


def asked_of(attempt: Fact) -> Asked:
    """The question how an attempt is getting on, from the fact that began it."""
    return Asked(attempt.token, promoted(attempt.body["release"]) if attempt.kind == "started" else None)


def began(journal: Sequence[Fact], token: str) -> Fact | None:
    """The fact that began an attempt."""
    return find(journal, "started", token) or find(journal, "asked", token)


# May a promotion begin?


def refuse_to_promote(journal: Sequence[Fact], stack: Stack, wanted: Mapping[str, str]) -> None:
    """Raises RefusedError where this release was rolled back from, or where a newer one is live by now."""
    refuse_if_rolled_back(journal, wanted["verdict_id"], wanted["version"])
    if not stack.busy:  # until then what is pinned may yet be taken back
        refuse_if_superseded(stack.release, wanted["version"])


def refuse_in_alarm(alarms: Sequence[str]) -> None:
    """Raises RefusedError where alarms are in ALARM: what guards a deployment must be able to speak.

    A rollback goes ahead nevertheless.
    """
    if alarms:
        raise RefusedError(
            f"{', '.join(alarms)}: in ALARM, and ECS would ignore that during the whole deployment: `lockgate promote` "
            "again when the service is well, or `lockgate rollback`"
        )


def refuse_unless_ended(before: Fact, status: str, deadline: int, now: datetime) -> None:
    """Raises BusyError while an earlier attempt has not ended, until it is past its deadline."""
    if status == "IN_PROGRESS" and not is_past(before, deadline, now):
        raise BusyError(f"attempt {before.token} has not ended: another deployment runs")


# Deadlines


def deadline_of(attempt: Fact | None, configured: int) -> int:
    """Minutes until an attempt is stopped: what was configured when it began, since a `cdk deploy` with another
    deadline is for the attempts that follow it; `configured` where nothing says so.
    """
    return int((attempt and attempt.body.get("deadline_minutes")) or configured)


def is_past(attempt: Fact, deadline: int, now: datetime) -> bool:
    return _age(attempt, now) > timedelta(minutes=deadline)


def stopped(deadline: int) -> str:
    """What is said of an attempt that is stopped at its deadline, in minutes."""
    return f"deadline: the deployment did not end within {deadline} minutes: it was stopped"


# Where does an operator lead?


def destination(action: Action, journal: Sequence[Fact], stack: Stack) -> Release:
    """What a rollback or a restore leads to. Raises RefusedError when there is nothing to go back to, or to restore."""
    if action == "restore":
        wanted = last(journal)
        if stack.release is not None and stack.release != wanted:
            raise RefusedError(f"restore: {stack.name} pins version {stack.release.version}: it was changed, not lost")
        return wanted
    if stack.release is None:
        raise RefusedError(f"rollback: {stack.name} pins no release: use `lockgate rollback --restore` if it was lost")
    return previous(journal, stack.release)


def mode_towards(wanted: Release, stack: Stack) -> str:
    """All at once, by the name that is not set where the stack pins this very release: without a change CloudFormation
    would leave a service alone that somebody changed past it; with one it sends all of the service's properties.
    """
    if stack.release == wanted and stack.parameters.get(MODE_PARAMETER) == AT_ONCE:
        return AT_ONCE_AGAIN
    return AT_ONCE


# What became of it?


@dataclass(frozen=True)
class Status:
    """How an attempt is getting on; `place` is the number of its end in the journal, None where it has none there."""

    status: str
    reason: str
    release: Mapping[str, str] | None
    url: str
    place: int | None = None


def remembered_success(journal: Sequence[Fact], token: str) -> Status | None:
    """The success of an attempt that the journal knows: it stays one, whatever was begun since."""
    end = find(journal, "deployment", token)
    if end is None or not end.succeeded:
        return None
    return Status("SUCCEEDED", end.body["reason"], end.body["release"], end.body["url"], end.sequence)


def wanted_by(asked: Asked, operator: Fact | None) -> Mapping[str, str]:
    """What an attempt is to lead to, whichever copy: `operator` is the fact of a person who asked. RefusedError."""
    return promoted(operator.body["to"]) if operator else read_promoted(asked.release)


def reason_of_failure(findings: Iterable[str], alarms: Iterable[str], said: str) -> str:
    """What hooks, deadline and alarms found since an attempt began, before what CloudFormation says."""
    return "; ".join([*findings, *alarms, said])


def end_of(
    progress: Progress, operator: Fact | None, release: Mapping[str, str] | None, url: str, now: datetime
) -> dict[str, Any] | None:
    """The body of the fact that an attempt has ended; None while it has not.

    release: what the stack pins. The failure of a promotion is its workflow's to record, and may be tried again under
    its token. The failure of what a person asked for is remembered here; where nothing was begun for it, only once no
    function can still be between writing it down and doing it.
    """
    facts = {"outcome": progress.status.lower(), "reason": progress.reason, "url": url}
    if progress.status == "SUCCEEDED":
        return {**facts, "release": release}
    if progress.status == "FAILED" and operator and (progress.begun or _age(operator, now) > LONGEST_RUN):
        return {**facts, "release": dict(operator.body["to"])}
    return None


def _age(attempt: Fact, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(attempt.time)
