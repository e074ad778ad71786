"""An environment's journal in its bucket: what is written once is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lockgate import names
from lockgate.aws.journal import Journal
from lockgate.errors import LedgerError
from lockgate.ledger.journal import Started
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

TIME = "2026-11-21T00:00:00.000Z"
STARTED = Started(release=records.release())


@pytest.fixture
def reads(world: World) -> list[str]:
    """Keys of the objects that were read."""
    found: list[str] = []
    world.s3.meta.events.register(
        "before-parameter-build.s3.GetObject", lambda params, **_: found.append(str(params["Key"]))
    )
    return found


def journal(world: World) -> Journal:
    return Journal(world.s3, "test-releases", "income")


def test_a_fact_is_read_once_a_process(world: World, reads: list[str]) -> None:
    for token in ("read-1", "read-2"):
        journal(world).append(token, STARTED, TIME)
        assert journal(world).entries()[-1].token == token
    assert [fact.sequence for fact in journal(world).entries()] == [1, 2]
    assert reads == [names.journal_key("income", 1), names.journal_key("income", 2)]


def test_another_object_under_a_key_is_read_anew(world: World) -> None:
    journal(world).append("before", STARTED, TIME)
    (before,) = journal(world).entries()
    key = names.journal_key("income", 1)
    world.s3.put_object(Bucket="test-releases", Key=key, Body=before.to_bytes().replace(b"before", b"behind"))
    assert [fact.token for fact in journal(world).entries()] == ["behind"]


def test_a_fact_that_is_missing_is_an_error(world: World) -> None:
    for token in ("missing-1", "missing-2"):
        journal(world).append(token, STARTED, TIME)
    world.s3.delete_object(Bucket="test-releases", Key=names.journal_key("income", 1))
    with pytest.raises(LedgerError, match="out of place"):
        journal(world).entries()
