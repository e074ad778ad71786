"""The ledger and reality: agreement is silence, every difference is a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lockgate.release.comparison import PINNED, Reality, differences
from lockgate.release.parameters import Release

RELEASE = Release(
    version="2",
    commit="c" * 40,
    package_arn="package/2",
    image="r@sha256:" + "a" * 64,
    model_sha256="b" * 64,
    model_version_id="v",
    replay_sha256="e" * 64,
    policy_sha256="d" * 64,
    verdict_id="income/7",
)
FOUND = Reality(RELEASE, "UPDATE_COMPLETE", "task:2", "task:2")
EMPTY = Reality(None, "CREATE_COMPLETE", None, None)


def test_what_the_ledger_says_and_the_environment_serves_is_no_difference() -> None:
    assert differences(RELEASE, FOUND) == []


def test_an_environment_before_its_first_release_is_no_difference() -> None:
    assert differences(None, EMPTY) == []


def test_a_lost_release_is_said() -> None:
    assert differences(RELEASE, EMPTY) == [
        "the ledger says version 2, the stack pins no release: it was lost: `lockgate rollback --restore` puts it back"
    ]


def test_a_lost_stack_is_said_with_what_brings_it_back() -> None:
    assert differences(RELEASE, None) == [
        "the ledger says version 2, and there is no release stack: `cdk deploy`, then `lockgate rollback --restore`"
    ]


def test_an_environment_that_was_never_deployed_is_said() -> None:
    assert differences(None, None) == ["there is no release stack: `cdk deploy`"]


def test_a_release_the_ledger_knows_nothing_of_is_said() -> None:
    assert differences(None, FOUND) == ["the stack pins version 2, the ledger knows of no deployment"]


def test_another_release_is_said_by_its_version_alone() -> None:
    other = replace(RELEASE, version="1", verdict_id="income/3", model_sha256="e" * 64)
    assert differences(RELEASE, replace(FOUND, release=other)) == [
        "the ledger says version 2, the stack pins version 1"
    ]


def test_the_same_version_let_through_by_something_else_is_said() -> None:
    assert differences(RELEASE, replace(FOUND, release=replace(RELEASE, verdict_id="income/9"))) == [
        "the ledger says version 2 by income/7, the stack pins version 2 by income/9"
    ]


@pytest.mark.parametrize("field", PINNED)
def test_every_pinned_field_that_differs_is_named(field: str) -> None:
    other = "r@sha256:" + "f" * 64
    (said,) = differences(RELEASE, replace(FOUND, release=replace(RELEASE, **{field: other})))
    assert said == f"{field}: the ledger says {getattr(RELEASE, field)}, the stack pins {other}"


def test_a_service_that_was_changed_past_its_stack_is_said() -> None:
    assert differences(RELEASE, replace(FOUND, running="task:9")) == [
        "the stack made task:2, the service runs task:9: `lockgate rollback --restore` puts it back"
    ]


def test_a_service_that_was_deleted_past_its_stack_is_said() -> None:
    (said,) = differences(RELEASE, replace(FOUND, running=None))
    assert said.startswith("the stack made task:2, and its service was deleted")


def test_a_stack_that_needs_a_person_is_said() -> None:
    (said,) = differences(RELEASE, replace(FOUND, status="UPDATE_ROLLBACK_FAILED"))
    assert "needs a person" in said


def test_nothing_is_said_while_a_deployment_runs() -> None:
    assert differences(RELEASE, replace(EMPTY, status="UPDATE_IN_PROGRESS")) == []
