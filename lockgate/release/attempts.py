"""What an environment may begin, what became of what it began, and where its operators lead it back to.

An attempt is one change of what an environment serves of a model: a promotion, a rollback or a restore, known by its
token. Everything is decided from the environment's own journal, from the release stack as it was read, and from the
clock; nothing here asks AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from lockgate.errors import BusyError, RefusedError
from lockgate.ledger.journal import (
    Action,
    Asked,
    Ended,
    Fact,
    Facts,
    Started,
    find,
    last,
    previous,
    refuse_if_rolled_back,
)
from lockgate.release.parameters import (
    AT_ONCE,
    AT_ONCE_AGAIN,
    MODE_PARAMETER,
    JudgedRelease,
    Release,
    refuse_if_superseded,
)
from lockgate.release.stack import Progress, Stack

LONGEST_RUN = timedelta(minutes=15)  # of any Lambda function
Attempt: TypeAlias = Fact[Started | Asked]  # by the fact that began it


class Question(NamedTuple):
    """How is an attempt getting on? release: what its promotion asks for; None for what a person asked for."""

    token: str
    release: JudgedRelease | None


def question_about(attempt: Attempt) -> Question:
    """From the fact that began it."""
    return Question(attempt.token, attempt.body.release.judged if isinstance(attempt.body, Started) else None)


def began(journal: Facts, token: str) -> Attempt | None:
    """The fact that began an attempt."""
    return find(journal, Started, token) or find(journal, Asked, token)


# May a promotion begin?


def refuse_to_promote(journal: Facts, stack: Stack, wanted: JudgedRelease) -> None:
    """Raises RefusedError where this release was rolled back from, or where a newer one is live by now."""
    refuse_if_rolled_back(journal, wanted.verdict_id, wanted.version)
    if not stack.busy:  # until then what is pinned may yet be taken back
        refuse_if_superseded(stack.release, wanted.version)


def refuse_in_alarm(alarms: Sequence[str]) -> None:
    """Raises RefusedError where alarms are in ALARM: what guards a deployment must be able to speak.

    A rollback goes ahead nevertheless.
    """
    if alarms:
        raise RefusedError(
            f"{', '.join(alarms)}: in ALARM, and ECS would ignore that during the whole deployment: `lockgate promote` "
            "again when the service is well, or `lockgate rollback`"
        )


def refuse_unless_ended(before: Attempt, status: str, deadline: int, now: datetime) -> None:
    """Raises BusyError while an earlier attempt has not ended, until it is past its deadline."""
    if status == "IN_PROGRESS" and not is_past(before, deadline, now):
        raise BusyError(f"attempt {before.token} has not ended: another deployment runs")


# Deadlines


def deadline_of(attempt: Attempt | None, configured: int) -> int:
    """Minutes until an attempt is stopped: what was configured when it began, since a `cdk deploy` with another
    deadline is for the attempts that follow it; `configured` where nothing says so.
    """
    return (attempt.body.deadline_minutes if attempt else None) or configured


def is_past(attempt: Attempt, deadline: int, now: datetime) -> bool:
    return _age(attempt, now) > timedelta(minutes=deadline)


def stopped(deadline: int) -> str:
    """What is said of an attempt that is stopped at its deadline, in minutes."""
    return f"deadline: the deployment did not end within {deadline} minutes: it was stopped"


# Where does an operator lead?


def target_of(action: Action, journal: Facts, stack: Stack) -> Release:
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
    release: Release | None
    url: str
    place: int | None


def remembered_success(journal: Facts, token: str) -> Status | None:
    """The success of an attempt that the journal knows: it stays one, whatever was begun since."""
    end = find(journal, Ended, token)
    if end is None or end.body.outcome != "succeeded":
        return None
    return Status("SUCCEEDED", end.body.reason, end.body.release, end.body.url, end.sequence)


def wanted_by(asked: Question, operator: Fact[Asked] | None) -> JudgedRelease:
    """What an attempt is to lead to, whichever copy: `operator` is the fact of a person who asked. RefusedError."""
    wanted = operator.body.to.judged if operator else asked.release
    if wanted is None:
        raise RefusedError(f"attempt {asked.token}: found nothing that began it here, expected what it leads to")
    return wanted


def reason_of_failure(findings: Iterable[str], alarms: Iterable[str], said: str) -> str:
    """What hooks, deadline and alarms found since an attempt began, before what CloudFormation says."""
    return "; ".join([*findings, *alarms, said])


def end_of(
    progress: Progress, operator: Fact[Asked] | None, release: Release | None, url: str, now: datetime
) -> Ended | None:
    """The body of the fact that an attempt has ended; None while it has not.

    release: what the stack pins. The failure of a promotion is its workflow's to record, and may be tried again under
    its token. The failure of what a person asked for is remembered here; where nothing was begun for it, only once no
    function can still be between writing it down and doing it.
    """
    if progress.status == "SUCCEEDED" and release:
        return Ended(outcome="succeeded", reason=progress.reason, url=url, release=release)
    if progress.status == "FAILED" and operator and (progress.begun or _age(operator, now) > LONGEST_RUN):
        return Ended(outcome="failed", reason=progress.reason, url=url, release=operator.body.to)
    return None


def _age(attempt: Attempt, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(attempt.time)
