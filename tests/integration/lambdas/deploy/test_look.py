"""Ends that nobody waited for: the environment's own schedule remembers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.integration.lambdas.deploy.conftest import EnvironmentAccount


def test_an_end_that_nobody_waited_for_is_remembered_as_the_workflow_would_have_had_it(
    prod: EnvironmentAccount,
) -> None:
    prod.start()
    assert prod.look() == "IN_PROGRESS"
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.look() == "SUCCEEDED"
    (ended,) = prod.journal("deployment")
    assert (ended["token"], ended["body"]["outcome"], ended["body"]["url"]) == (
        "income-1-prod",
        "succeeded",
        "https://lb/income",
    )
    assert prod.look() == "NOTHING"
    assert prod.status()["place"] == ended["sequence"]


def test_a_promotion_that_died_before_its_update_is_not_taken_for_an_end(prod: EnvironmentAccount) -> None:
    prod.cloudformation.failure = prod.error("Throttling", "Rate exceeded")
    with pytest.raises(ClientError):
        prod.start()
    assert prod.look() == "FAILED"
    assert prod.journal() == []
    prod.cloudformation.failure = None
    prod.start()
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.look() == "SUCCEEDED"
    assert [fact["kind"] for fact in prod.journal("started", "deployment")] == ["started", "deployment"]


def test_the_end_of_a_rollback_that_nobody_waited_for_is_remembered(prod: EnvironmentAccount) -> None:
    prod.promote("1")
    prod.promote("2")
    prod.operate("rollback", "rollback-1")
    prod.cloudformation.status = "UPDATE_COMPLETE"
    assert prod.look() == "SUCCEEDED"
    assert prod.journal()[-1]["token"] == "rollback-1"


def test_where_nothing_was_ever_begun_there_is_nothing_to_look_for(prod: EnvironmentAccount) -> None:
    assert prod.look() == "NOTHING"
