"""A person moves the pointer of what trainings use, forth and back, and a record says who and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import shared
from lambdas.decide import snapshot
from lockgate import names
from lockgate.aws import delivery
from lockgate.data.choice import current
from lockgate.ledger.records import Entry
from tests import records, signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

from tests.integration.lambdas.decide.test_holdout import Published


def use(of: str, reason: str = "why", person: str = "grace", role: str = "lockgate-approver") -> tuple[int, str]:
    arn = f"arn:aws:sts::123456789012:assumed-role/{role}/{person}"
    body = {"model": "income", "snapshot": of, "reason": reason}
    response = snapshot.handler(signed.event(arn, body, "snapshot"), None)
    return response["statusCode"], json.loads(response["body"])["message"]


def used(world: World) -> str | None:
    """What a delivery would train on now."""
    published = delivery.snapshots(world.s3, "test-data", "income").published
    return current(published, delivery.chosen_snapshots(world.s3, "test-data", "income"))


@pytest.fixture
def two(world: World) -> tuple[Published, Published]:
    return Published(world, "a", range(9), range(9, 19)), Published(world, "b", range(9), range(19, 29))


def test_the_pointer_moves_forth_and_back_and_a_record_says_who_and_why(
    world: World, two: tuple[Published, Published]
) -> None:
    first, second = (each.manifest.id for each in two)
    assert use(second, "it has this year") == (
        200,
        f"recorded as income/1: trainings of income use snapshot {second}, chosen by grace",
    )
    assert used(world) == second
    assert use(first, "this year is broken", person="dave")[0] == 200
    assert used(world) == first
    assert use(second, "it was mended")[0] == 200
    assert used(world) == second
    said = [
        (each["kind"], *(each["body"][key] for key in ("snapshot", "before", "person", "reason")))
        for each in world.records()
    ]
    assert said == [
        ("snapshot-choice", second, None, "grace", "it has this year"),
        ("snapshot-choice", first, second, "dave", "this year is broken"),
        ("snapshot-choice", second, first, "grace", "it was mended"),
    ]


def test_what_is_chosen_already_is_one_record_and_its_note_is_left_again(
    world: World, two: tuple[Published, Published]
) -> None:
    wanted = two[1].manifest.id
    assert use(wanted)[0] == 200
    world.s3.delete_object(Bucket="test-data", Key=names.chosen_key("income", 1, wanted))  # it died before the note
    assert use(wanted, person="dave")[1].endswith("chosen by grace")
    assert (used(world), len(world.records())) == (wanted, 1)


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        ({"of": "0" * 16}, 404, "publish it with `lockgate snapshot` first"),
        ({"of": "newest"}, 400, "expected the 16 digits of a snapshot's id"),
        ({"reason": " "}, 400, "expected text: why, for the record"),
        ({"person": "mallory"}, 403, "mallory"),
        ({"role": "lockgate-delivery"}, 403, "expected a session in account"),
    ],
)
def test_who_may_not_choose_and_what_cannot_be_chosen_is_refused(
    world: World, two: tuple[Published, Published], call: dict[str, Any], status: int, message: str
) -> None:
    found, said = use(**{"of": two[1].manifest.id, **call})
    assert (found, message in said) == (status, True), said
    assert (world.records(), used(world)) == ([], two[0].manifest.id)


def test_a_snapshot_whose_holdout_is_retired_cannot_be_chosen_under_a_budget(
    world: World, two: tuple[Published, Published]
) -> None:
    """What the gate would refuse is refused before anybody trains on it."""
    first, second = two
    assert first.judge(world, 1)["outcome"] == "passed"
    assert use(first.manifest.id)[0] == 200
    assert use(second.manifest.id)[0] == 200
    body = records.verdict(holdout_sha256=second.manifest.holdout_labels.sha256)
    shared.ledger("test-ledger").append("income", records.entry(body, 9), records.TIME)
    status, said = use(first.manifest.id)
    assert (status, "found its holdout aaaaaaaaaaaa retired, since holdout bbbbbbbbbbbb has judged" in said) == (
        409,
        True,
    )


def test_two_who_choose_at_once_do_not_overwrite_each_other_without_a_word(
    world: World, two: tuple[Published, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (each.manifest.id for each in two)
    store, choose = shared.ledger("test-ledger"), snapshot.SnapshotChoice
    plain = store.append_decided

    def after_somebody(model: str, entry_id: str, decide: Any, time: str) -> Any:
        monkeypatch.setattr(store, "append_decided", plain)
        said = records.snapshot_choice(first, person="dave")
        store.append(model, Entry(choose.id(first, 0), 0, "", said), time)
        return plain(model, entry_id, decide, time)

    monkeypatch.setattr(store, "append_decided", after_somebody)
    status, said = use(second)
    assert (status, said) == (409, "dave chose another snapshot meanwhile: look again")
