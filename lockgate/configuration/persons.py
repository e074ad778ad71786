"""Who a person is: names that AWS and GitHub vouch for, tied together by the reviewed map in environments/tools.toml.

A name is believed where its bearer could not choose it: the session of a role whose trust policy forces it to be the
user's own name, or of an Identity Center permission set, whose sessions are named after its users. A plain role's
session name is whatever its caller says, and so is nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from lockgate import names
from lockgate.errors import ForbiddenError
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Verdict
from lockgate.ledger.records import Record
from lockgate.proof import Proved

_SESSION = re.compile(r"arn:aws:sts::([0-9]{12}):assumed-role/([\w+=,.@-]+)/([\w+=,.@-]+)", re.ASCII)
_USER = re.compile(r"arn:aws:iam::([0-9]{12}):user/(?:[\x21-\x7e]+/)?([\w+=,.@-]+)", re.ASCII)
# Identity Center names the role of a permission set so; IAM lets nobody else make a role in its path.
_PERMISSION_SET = re.compile(r"(AWSReservedSSO_[\w+=,.@-]+)_[0-9a-f]{16}", re.ASCII)


class Person(NamedTuple):
    """github: ids of accounts, which never change; users: names of IAM and Identity Center users."""

    name: str
    github: tuple[str, ...]
    users: tuple[str, ...]


class Caller(NamedTuple):
    """Who signed a request: the person, the role of the session, its ARN as STS gave it, and the proof's nonce."""

    person: str
    role: str
    arn: str
    nonce: str

    def refuse_unless(self, roles: Collection[str], what: str) -> None:
        """Raises ForbiddenError unless the session's role is one of these."""
        if self.role not in roles:
            raise ForbiddenError(f"{what}: found a session of {self.role}, expected one of {', '.join(roles)}")


def is_permission_set(role: str) -> bool:
    """Whether a configured role's name means the role of an Identity Center permission set."""
    return role.startswith("AWSReservedSSO_")


def caller_of(signer: Proved, account: str, roles: Collection[str], persons: Sequence[Person]) -> Caller:
    """Who signed, from the ARN that STS gives. Raises ForbiddenError for everyone but a known person in one of `roles`.

    roles: names of roles of `account` that force the session's name, or of permission sets without their suffix.
    """
    found = _SESSION.fullmatch(signer.arn)
    role = _configured(found[2]) if found else ""
    if not found or found[1] != account or role not in roles:
        wanted = ", ".join(roles)
        raise ForbiddenError(f"found {signer.arn}, expected a session in account {account} of {wanted}")
    person = _with_user(persons, found[3])
    if person is None:
        raise ForbiddenError(f"{found[3]}: found no such user in [persons] of environments/tools.toml, expected one")
    return Caller(person.name, role, signer.arn, signer.nonce)


def author_of(arn: str, account: str, persons: Sequence[Person]) -> str | None:
    """The person who delivered, from the ARN that started the training; None when nobody in the map is vouched for.

    The delivery role forces a session's name to be the id of the GitHub account whose push it is.
    """
    session, user = _SESSION.fullmatch(arn), _USER.fullmatch(arn)
    person = None
    if user and user[1] == account:
        person = _with_user(persons, user[2])
    elif session and session[1] == account and session[2] == names.DELIVERY_ROLE:
        return pushed_by(session[3], persons)
    elif session and session[1] == account and _PERMISSION_SET.fullmatch(session[2]):
        person = _with_user(persons, session[3])
    return person.name if person else None


def pushed_by(actor_id: str, persons: Sequence[Person]) -> str | None:
    """The person whose GitHub account has this id; None for an account of nobody in the map."""
    return next((each.name for each in persons if actor_id in each.github), None)


def authors_of(
    chain: ReleaseChain, verdict: Record[Verdict], account: str, persons: Sequence[Person], last: str
) -> dict[str, str | None]:
    """Whose work a verdict is about: ARN -> person, or None for nobody in the map.

    They are everyone who ever delivered its commit, and every known person who delivered anything since what is live in
    `last`, the last environment: a commit brings along those before it, whoever put one on top. After a rollback these
    are more, and before the first release they are all.
    """
    body, version, served = verdict.entry.body, verdict.entry.version, chain.live(last)
    since = served.entry.version if served else 0
    same = [each for each in chain.of(Verdict) if body.commit and each.entry.body.commit == body.commit]
    own = [each.entry.body.delivered_by or "" for each in (verdict, *same)]
    before = [each.entry.body.delivered_by or "" for each in chain.of(Verdict) if since < each.entry.version <= version]
    known = {arn: author_of(arn, account, persons) for arn in (*own, *before)}
    return {arn: author for arn, author in known.items() if author or arn in own}


def refuse_own(person: str, authors: Mapping[str, str | None]) -> None:
    """Raises ForbiddenError when `person` delivered the commit, or one that it brings along."""
    if person in authors.values():
        raise ForbiddenError(f"{person} delivered this commit, or one before it: another person has to decide")


def refuse_unknown(authors: Mapping[str, str | None]) -> None:
    """Raises ForbiddenError when nobody in the map is known to have delivered the commit: it might be the approver."""
    for arn, author in authors.items():
        if author is None:
            raise ForbiddenError(
                f"the commit was delivered by {arn or 'nobody known'}, whom [persons] of environments/tools.toml does "
                "not name: add the author there and deploy the tools, then approve"
            )


def _configured(role: str) -> str:
    """How the configuration names a session's role; "" for one that only looks like a permission set's."""
    found = _PERMISSION_SET.fullmatch(role)
    if found:
        return found[1]
    return "" if is_permission_set(role) else role


def _with_user(persons: Sequence[Person], user: str) -> Person | None:
    return next((person for person in persons if user in person.users), None)
