"""A model is trained where what it starts from is another than that of its newest version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lockgate.release.fingerprint import Inputs, Training, found_in, same_as

INPUTS = Inputs(
    files={"lockgate": "040000 tree 1", "model/income": "040000 tree 2"}, build="b", pipeline="p", snapshot="s"
)


def training(inputs: Inputs, commit: str = "c", *, running: bool = False) -> Training:
    return Training(f"arn-{commit}", commit, inputs.snapshot, inputs.fingerprint, running)


OTHER = replace(INPUTS, files={**INPUTS.files, "model/income": "040000 tree 3"})


@pytest.mark.parametrize(
    "changed",
    [
        OTHER,
        replace(INPUTS, files={"lockgate": "040000 tree 1"}),
        replace(INPUTS, files={**INPUTS.files, "model/shared": "040000 tree 4"}),
        replace(INPUTS, build="other"),
        replace(INPUTS, pipeline="other"),
        replace(INPUTS, snapshot="other"),
    ],
)
def test_whatever_a_training_starts_from_is_in_its_fingerprint(changed: Inputs) -> None:
    assert changed.fingerprint != INPUTS.fingerprint
    assert not same_as(changed.fingerprint, training(INPUTS))


def test_the_order_in_which_files_are_listed_changes_nothing() -> None:
    assert replace(INPUTS, files=dict(reversed(INPUTS.files.items()))).fingerprint == INPUTS.fingerprint


@pytest.mark.parametrize("running", [True, False])
def test_what_the_newest_training_started_from_is_not_trained_again(running: bool) -> None:
    assert same_as(INPUTS.fingerprint, training(INPUTS, running=running))


def test_a_first_training_and_one_after_trainings_without_a_fingerprint_are_changes() -> None:
    assert not same_as(INPUTS.fingerprint, None)
    assert not same_as(INPUTS.fingerprint, Training("arn", "c", "s", "", running=False))


def test_what_a_commit_is_the_same_as_is_found_also_behind_newer_trainings_and_on_another_snapshot() -> None:
    older = training(replace(INPUTS, snapshot="older"), "before")
    assert found_in(INPUTS, [training(OTHER, "newest"), older]) == older
    assert found_in(INPUTS, [training(OTHER, "newest")]) is None
