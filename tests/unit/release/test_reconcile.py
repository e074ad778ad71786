"""Whose an execution is, and which failed attempts had come to a recorded end."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.evidence.package import Registered
from lockgate.ledger.chain import ReleaseChain
from lockgate.release.reconcile import PromotionRun, losses, version_of
from tests import records

WAY = ("dev", "prod")


@pytest.mark.parametrize(
    ("execution", "version"),
    [
        ("income-7", 7),
        ("income-7-R2", 7),
        ("income-7-waiver-31", 7),
        ("income-2-7", None),
        ("other-7", None),
        ("income-07", None),
        ("income-7-r2", None),
    ],
)
def test_an_execution_names_its_model_and_version(execution: str, version: int | None) -> None:
    assert version_of("income", execution) == version


def test_a_model_whose_name_ends_in_a_number_is_not_taken_for_another() -> None:
    assert version_of("income-2", "income-2-7") == 7


def chain(*bodies: Any) -> ReleaseChain:
    return records.chain_of(*(records.entry(body, 1, "prod") for body in bodies))


REQUEST = records.request(expires="2026-11-20T00:00:00.000Z")
APPROVAL = records.approval()


@pytest.mark.parametrize(("answers", "lost"), [((), 0), ((APPROVAL,), 1)], ids=["unanswered", "answered"])
def test_a_request_that_nobody_answered_in_time_is_an_end_and_an_answered_one_is_not(
    answers: tuple[Any, ...], lost: int
) -> None:
    package = Registered(1, "arn", waits=False)
    died = PromotionRun("income-1", "FAILED", "2026-11-21")
    found = losses("income", [package], chain(REQUEST, *answers), [died], WAY, "2026-11-21T00:00:00.000Z")
    assert len(found) == lost


def test_the_newest_attempt_counts() -> None:
    package = Registered(1, "arn", waits=False)
    attempts = [
        PromotionRun("income-1", "FAILED", "2026-11-20"),
        PromotionRun("income-1-waiver-3", "SUCCEEDED", "2026-11-21"),
    ]
    assert losses("income", [package], chain(), attempts, WAY, "") == []
    later = [*attempts, PromotionRun("income-1-waiver-9", "FAILED", "2026-11-22")]
    (loss,) = losses("income", [package], chain(), later, WAY, "")
    assert (loss.execution, loss.what) == ("income-1-R2", "no verdict for dev: income-1-waiver-9 FAILED")
