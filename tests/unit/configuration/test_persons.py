"""Persons: only names that nobody chooses for himself, and only those of the reviewed map."""

from __future__ import annotations

import pytest

from lockgate.configuration.persons import Person, author_of, authors_of, caller_of, refuse_own, refuse_unknown
from lockgate.errors import RefusedError
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Verdict
from lockgate.proof import Proved
from tests import records

ACCOUNT = "123456789012"
STS = f"arn:aws:sts::{ACCOUNT}:assumed-role"
ROLES = ("lockgate-approver", "AWSReservedSSO_Releases")
ADA = Person("ada", ("3003", "3999"), ("ada", "ada@example.com"))
GRACE = Person("grace", ("3004",), ("grace",))
PERSONS = (ADA, GRACE)


@pytest.mark.parametrize(
    ("arn", "person", "role"),
    [
        (f"{STS}/lockgate-approver/grace", "grace", "lockgate-approver"),
        (f"{STS}/lockgate-approver/ada", "ada", "lockgate-approver"),
        (f"{STS}/AWSReservedSSO_Releases_0123456789abcdef/ada@example.com", "ada", "AWSReservedSSO_Releases"),
    ],
)
def test_a_session_that_bears_its_users_own_name_is_that_person(arn: str, person: str, role: str) -> None:
    caller = caller_of(Proved(arn, "nonce"), ACCOUNT, ROLES, PERSONS)
    assert (caller.person, caller.role, caller.arn) == (person, role, arn)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        f"arn:aws:iam::{ACCOUNT}:user/grace",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"{STS}/Administrator/grace",
        f"{STS}/lockgate-delivery/3004",
        f"{STS}/AWSReservedSSO_Releases/grace",
        f"{STS}/AWSReservedSSO_Releases_0123456789abcde/grace",
        f"{STS}/AWSReservedSSO_Releases_0123456789abcdefg/grace",
        f"{STS}/AWSReservedSSO_Others_0123456789abcdef/grace",
        f"{STS}/AWSReservedSSO_Releases_0123456789abcdef_0123456789abcdef/grace",
        "arn:aws:sts::999999999999:assumed-role/AWSReservedSSO_Releases_0123456789abcdef/grace",
        f"{STS}/lockgate-approver/grace/ada",
        f"{STS}/lockgate-approver/grace\n",
        f"{STS}/lockgate-approver/3004",
        f"{STS}/lockgate-approver/Grace",
        f"{STS}/lockgate-approver/mallory",
    ],
)
def test_a_name_that_its_bearer_could_choose_and_a_name_that_is_not_in_the_map_are_nobody(arn: str) -> None:
    with pytest.raises(RefusedError, match="expected"):
        caller_of(Proved(arn, "nonce"), ACCOUNT, ROLES, PERSONS)


def test_a_session_of_another_allowed_role_is_refused_where_its_own_is_not() -> None:
    caller = caller_of(Proved(f"{STS}/lockgate-approver/grace", "nonce"), ACCOUNT, ROLES, PERSONS)
    caller.refuse_unless(ROLES, "approvals of dev")
    with pytest.raises(RefusedError, match="approvals of prod: found a session of lockgate-approver"):
        caller.refuse_unless(("AWSReservedSSO_Releases",), "approvals of prod")


@pytest.mark.parametrize(
    ("arn", "author"),
    [
        (f"{STS}/lockgate-delivery/3003", "ada"),
        (f"{STS}/lockgate-delivery/3999", "ada"),
        (f"arn:aws:iam::{ACCOUNT}:user/grace", "grace"),
        (f"arn:aws:iam::{ACCOUNT}:user/team/ml/grace", "grace"),
        (f"{STS}/AWSReservedSSO_DataScience_0123456789abcdef/ada@example.com", "ada"),
        (f"{STS}/lockgate-delivery/4000", None),
        (f"{STS}/lockgate-delivery/ada", None),
        (f"{STS}/lockgate-pipeline/3003", None),
        (f"{STS}/Administrator/grace", None),
        (f"arn:aws:iam::{ACCOUNT}:user/mallory", None),
        ("arn:aws:iam::999999999999:user/grace", None),
        ("arn:aws:sts::999999999999:assumed-role/lockgate-delivery/3003", None),
        ("", None),
    ],
)
def test_the_author_is_whom_aws_vouches_for_and_the_map_knows(arn: str, author: str | None) -> None:
    assert author_of(arn, ACCOUNT, PERSONS) == author


def verdicts(*bodies: tuple[str | None, str | None]) -> ReleaseChain:
    """Of commits, and who delivered them."""
    made = (records.verdict(commit=commit, delivered_by=delivered_by) for commit, delivered_by in bodies)
    return records.chain_of(*(records.entry(body, version) for version, body in enumerate(made, start=1)))


def test_everyone_who_ever_delivered_the_commit_is_its_author() -> None:
    chain = verdicts(
        ("c", f"{STS}/lockgate-delivery/3003"),
        ("other", f"{STS}/lockgate-delivery/4000"),
        ("c", f"{STS}/lockgate-delivery/3004"),
    )
    authors = authors_of(chain, chain.of(Verdict)[2], ACCOUNT, PERSONS, "prod")
    assert set(authors.values()) == {"ada", "grace"}
    refuse_unknown(authors)
    for person in ("ada", "grace"):
        with pytest.raises(RefusedError, match=f"{person} delivered this commit"):
            refuse_own(person, authors)
    refuse_own("linus", authors)


@pytest.mark.parametrize("delivered_by", [None, "", f"{STS}/lockgate-delivery/4000"])
def test_what_somebody_delivered_who_is_not_in_the_map_is_nobodys_to_approve(delivered_by: str | None) -> None:
    chain = verdicts(("c", delivered_by))
    with pytest.raises(RefusedError, match=r"\[persons\] of environments/tools.toml does not name"):
        refuse_unknown(authors_of(chain, chain.of(Verdict)[0], ACCOUNT, PERSONS, "prod"))


def test_verdicts_that_know_no_commit_are_not_about_the_same_one() -> None:
    chain = verdicts((None, f"{STS}/lockgate-delivery/3003"), (None, f"{STS}/lockgate-delivery/4000"))
    assert set(authors_of(chain, chain.of(Verdict)[0], ACCOUNT, PERSONS, "prod").values()) == {"ada"}


def test_what_a_bot_pushed_persons_approve_and_the_bot_decides_nothing() -> None:
    bot = Person("dependabot", ("49699333",), ())
    known = (*PERSONS, bot)
    pushed = f"{STS}/lockgate-delivery/49699333"
    assert author_of(pushed, ACCOUNT, known) == "dependabot"
    refuse_unknown({pushed: author_of(pushed, ACCOUNT, known)})
    with pytest.raises(RefusedError):
        refuse_unknown({pushed: author_of(pushed, ACCOUNT, PERSONS)})
    for name in ("dependabot", "49699333", ""):
        with pytest.raises(RefusedError):
            caller_of(Proved(f"{STS}/lockgate-approver/{name}", "nonce"), ACCOUNT, ROLES, known)


def live(chain: ReleaseChain, version: int, place: int) -> ReleaseChain:
    """The chain after a deployment to prod."""
    body = records.deployment(release=records.release(version), place=place)
    entry_id = f"deployment:{version}:prod:{place}"
    return chain.extended(records.entry(body, version, "prod", entry_id), records.TIME)


def authors_of_version(chain: ReleaseChain, version: int) -> set[str | None]:
    verdict = chain.of(Verdict, version)[0]
    return set(authors_of(chain, verdict, ACCOUNT, PERSONS, "prod").values())


BY_ADA, BY_GRACE, BY_NOBODY = (f"{STS}/lockgate-delivery/{number}" for number in (3003, 3004, 4000))


def test_an_empty_commit_on_top_of_somebodys_is_that_persons_too() -> None:
    """Else ada approves her own work, since grace delivered it last: so is a merge, a squash or a rebase by another."""
    assert authors_of_version(verdicts(("a", BY_ADA), ("b", BY_GRACE)), 2) == {"ada", "grace"}


def test_who_delivered_before_what_is_live_has_no_part_in_what_came_after() -> None:
    chain = live(verdicts(("a", BY_ADA), ("b", BY_GRACE)), 1, 1)
    assert authors_of_version(chain, 2) == {"grace"}


def test_after_a_rollback_whoever_delivered_since_what_is_live_again_is_an_author() -> None:
    chain = live(live(verdicts(("a", BY_ADA), ("b", BY_ADA), ("c", BY_GRACE)), 2, 1), 1, 2)
    assert authors_of_version(chain, 3) == {"ada", "grace"}


def test_who_delivered_after_a_version_is_no_author_of_it() -> None:
    assert authors_of_version(verdicts(("a", BY_ADA), ("b", BY_GRACE)), 1) == {"ada"}


def test_an_unknown_hand_in_between_names_nobody_and_blocks_nothing() -> None:
    """What the ledger cannot attribute is said to be open in docs/security.md."""
    assert authors_of_version(verdicts(("a", BY_NOBODY), ("b", BY_GRACE)), 2) == {"grace"}
