"""What the workflow and its functions say to each other is read as its type, also from a younger sender."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate import schema
from lockgate.errors import RefusedError
from lockgate.release.workflow import (
    DeployRequest,
    EndingRecorded,
    GateRequest,
    ModelDataSource,
    Promotion,
    Rows,
    read_message,
)
from tests import records

SOURCE = ModelDataSource(bucket="b", key="k", version_id="v", replay=Rows(bucket="b", key="r"))
START: dict[str, Any] = {
    "action": "start",
    "model": "income",
    "release": schema.write(records.judged(2)),
    "source": schema.write(SOURCE),
    "token": "income-2-prod",
}
GATE = {"model": "income", "version": "2", "package_arn": "arn", "environment": "dev"}


def test_a_promotion_asks_for_all_of_a_release_but_the_environments_own_copy() -> None:
    request = read_message(DeployRequest, START)
    assert (request.release, request.source) == (records.judged(2), SOURCE)
    for release in (
        None,
        {},
        {**START["release"], "version": "02"},
        {**START["release"], "image": 1},
        schema.write(records.release(2)),
    ):
        with pytest.raises(RefusedError):
            read_message(DeployRequest, {**START, "release": release})


def test_what_a_younger_sender_adds_is_left_aside() -> None:
    request = read_message(DeployRequest, {**START, "wish": 1, "source": {**START["source"], "wish": 1}})
    assert request == read_message(DeployRequest, START)


def test_the_workflow_may_say_that_no_glass_was_broken() -> None:
    assert not read_message(GateRequest, {**GATE, "break_glass": ""}).break_glass
    assert read_message(GateRequest, GATE).dry_run is False


@pytest.mark.parametrize("wrong", [{"model": "In/come"}, {"version": "02"}, {"version": 2}, {"environment": None}])
def test_a_message_about_no_version_of_a_model_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="found "):
        read_message(GateRequest, {**GATE, **wrong})


def test_an_ending_may_have_its_reason_alone_and_say_what_it_does_not_know() -> None:
    event = {**GATE, "execution": "income-2", "outcome": "failed", "release": START["release"]}
    alone = read_message(EndingRecorded, {**event, "deployment": {"reason": "it broke"}})
    unknown = {"reason": "it broke", "status": "FAILED", "release": None, "url": None, "place": None}
    assert read_message(EndingRecorded, {**event, "deployment": unknown}) == alone


def test_the_input_of_a_promotion_names_an_environment_only_for_a_break_glass() -> None:
    promotion = Promotion(model="income", version="2", package_arn="arn")
    assert promotion.to_text() == '{"model":"income","package_arn":"arn","version":"2"}'
