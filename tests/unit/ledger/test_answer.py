"""One rule says who may answer a request, for a release and for a change of stacks."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.errors import ForbiddenError, RefusedError
from lockgate.ledger.answer import deciding, refuse_answer
from lockgate.ledger.chain import Chain
from lockgate.ledger.kinds import Body
from lockgate.ledger.records import Record
from tests import records

NOW, LATER = "2026-11-27T00:00:00.000Z", "2026-12-09T00:00:00.000Z"
ADA = {"arn:aws:sts::1:assumed-role/lockgate-delivery/3003": "ada"}
KINDS = ("release", "stacks")


def chain(kind: str, *bodies: Body) -> Chain[Any]:
    """A request for two approvals, and what came after it."""
    if kind == "stacks":
        return records.stack_chain_of(*(records.entry(each, 0, "prod") for each in (records.stack_request(2), *bodies)))
    made = (records.request(approvals=2), *bodies)
    return records.chain_of(*(records.entry(each, 3, "prod") for each in made))


def asked(chain: Chain[Any]) -> Record[Any]:
    return chain.records[0]


def say(chain: Chain[Any], said: str, person: str = "grace", authors: dict[str, str | None] | None = None) -> None:
    refuse_answer(chain, asked(chain), said, person, ADA if authors is None else authors, now=NOW)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", ["approve", "reject"])
def test_another_person_may_answer_in_time(kind: str, said: str) -> None:
    say(chain(kind), said)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", ["approve", "reject"])
def test_an_author_may_not_answer_whatever_he_says(kind: str, said: str) -> None:
    with pytest.raises(ForbiddenError, match="ada delivered this commit"):
        say(chain(kind), said, "ada")


@pytest.mark.parametrize("kind", KINDS)
def test_what_somebody_unknown_made_can_be_rejected_and_not_approved(kind: str) -> None:
    say(chain(kind), "reject", authors={"GitHub account 9": None})
    with pytest.raises(ForbiddenError, match="delivered by GitHub account 9, whom"):
        say(chain(kind), "approve", authors={"GitHub account 9": None})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_decided_stays_so(kind: str) -> None:
    of_releases = kind == "release"
    name = "income/1" if of_releases else "infrastructure/1"
    rejection, approval = (
        (records.rejection, records.approval) if of_releases else (records.stack_rejection, records.stack_approval)
    )
    with pytest.raises(RefusedError, match="decided already: rejection by linus"):
        say(chain(kind, rejection(person="linus", request=name)), "approve")
    say(chain(kind, approval(person="linus", request=name)), "approve")


def test_a_request_about_a_release_expires_and_one_about_stacks_waits_for_the_next() -> None:
    release, stacks = chain("release"), chain("stacks")
    with pytest.raises(RefusedError, match="income/1 expired at 2026-11-28"):
        refuse_answer(release, asked(release), "reject", "grace", ADA, now=LATER)
    refuse_answer(stacks, asked(stacks), "reject", "grace", ADA, now=LATER)


def test_what_a_newer_version_superseded_can_be_rejected_and_not_approved() -> None:
    older = records.entry(records.request(approvals=2), 3, "prod")
    newer = records.chain_of(older, records.entry(records.deployment(version=4), 4, "prod"))
    say(newer, "reject")
    with pytest.raises(RefusedError, match="version 3 was superseded: version 4 is live in prod"):
        say(newer, "approve")


def test_the_last_environments_approvers_decide_about_tools_and_anchor() -> None:
    order = ("dev", "staging", "prod")
    assert [deciding(place, order) for place in ("tools", "anchor", "dev")] == ["prod", "prod", "dev"]
