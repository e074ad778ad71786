"""Collect: what an environment remembers comes into the ledger once, also late, also when another cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lambdas.controller import collection
from lockgate import names
from lockgate.aws import reader
from lockgate.aws.journal import Journal
from lockgate.ledger.journal import Asked, Ended
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

TIME = "2026-11-21T00:00:00.000Z"
ENDED = Ended(outcome="succeeded", reason="", url="u", release=records.release(1))


@pytest.fixture
def prod(world: World, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """The journal of prod; every environment lets itself be looked into."""
    monkeypatch.setenv("MODELS", "income")
    for name in ("dev", "prod"):
        world.s3.create_bucket(Bucket=f"lockgate-{name}-releases-123456789012-us-east-1")
    monkeypatch.setattr(reader, "look_into", lambda sts, **_: lambda service: world.s3)
    return Journal(world.s3, "lockgate-prod-releases-123456789012-us-east-1", "income")


def remember_a_rollback(journal: Journal) -> None:
    said = {"person": "olga", "user_arn": "arn", "reason": "too slow", "url": "u"}
    asked = Asked(**said, action="rollback", from_=records.release(2), to=records.release(1))
    journal.append("rollback-1", asked, TIME)
    journal.append("rollback-1", ENDED, TIME)


def test_a_rollback_is_recorded_once_with_who_and_why(world: World, prod: Journal) -> None:
    remember_a_rollback(prod)
    assert collection.handler({}, None) == {"recorded": ["income/1", "income/2"]}
    assert collection.handler({}, None) == {"recorded": []}
    first, second = world.records()
    assert (first["kind"], first["version"], first["environment"]) == ("rollback", 2, "prod")
    assert (first["body"]["person"], first["body"]["reason"]) == ("olga", "too slow")
    assert (second["kind"], second["version"], second["body"]["place"]) == ("deployment", 1, 2)


def test_a_deployment_whose_workflow_died_is_recorded_under_the_id_it_would_have_had(
    world: World, prod: Journal
) -> None:
    prod.append("income-1-prod", ENDED, TIME)
    collection.handler({}, None)
    assert [record["id"] for record in world.records()] == ["deployment:1:prod:income-1:succeeded"]


def test_an_environment_that_cannot_be_asked_does_not_keep_the_others_from_it(
    world: World, prod: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_a_rollback(prod)

    def look_into(sts: Any, *, environment: str, **_: Any) -> Callable[[str], Any]:
        if environment == "dev":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not today"}}, "AssumeRole")
        return lambda service: world.s3

    monkeypatch.setattr(reader, "look_into", look_into)
    with pytest.raises(RuntimeError, match=r"dev.*not today"):
        collection.handler({}, None)
    assert [record["kind"] for record in world.records()] == ["rollback", "deployment"]


def test_a_journal_that_cannot_be_read_keeps_no_other_models_from_the_ledger(
    world: World, prod: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS", "churn,income")
    bucket = "lockgate-prod-releases-123456789012-us-east-1"
    world.s3.put_object(Bucket=bucket, Key=names.journal_key("churn", 1), Body=b"hello")
    remember_a_rollback(prod)
    with pytest.raises(RuntimeError, match="prod churn"):
        collection.handler({}, None)
    assert [record["kind"] for record in world.records()] == ["rollback", "deployment"]
