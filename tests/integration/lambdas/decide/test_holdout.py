"""A fresh holdout is recorded with proof that none of its rows was seen before, and only then serves decisions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import gate
from lambdas.decide import holdout
from lockgate import canonical, names
from lockgate.data.row_identities import identities
from lockgate.data.snapshot import Manifest, Part
from lockgate.tasks.target import binary
from tests import signed

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

ROC_AUC = {
    "roc_auc": {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
}


def digests(rows: Iterable[int]) -> bytes:
    kept = list(rows)
    return identities(kept, [(row % 7,) for row in kept])


class Published:
    """A snapshot as `lockgate snapshot` leaves it: manifest and digests of rows; rows are their identifiers."""

    def __init__(self, world: World, labels: str, train: Iterable[int], holdout_rows: Iterable[int]) -> None:
        self.train, self.holdout = digests(train), digests(holdout_rows)
        rows = len(self.holdout) // 32
        part = Part(labels * 64, rows)
        train_part = Part(canonical.sha256(self.train), len(self.train) // 32)
        self.manifest = Manifest("income", "id", binary("target"), ("AGEP",), (), train_part, part, part, {})
        for key, data in {
            f"{names.snapshot_prefix('income', self.manifest.id)}/manifest.json": self.manifest.to_bytes(),
            names.identities_key("income", self.manifest.id, "train"): self.train,
            names.identities_key("income", self.manifest.id, "holdout"): self.holdout,
        }.items():
            world.s3.put_object(Bucket="test-data", Key=key, Body=data)

    def judge(self, world: World, version: int) -> dict[str, Any]:
        """The gate's answer about a version that was evaluated on this snapshot."""
        world.register(version)
        world.lineage(version)["snapshot"] = self.manifest.id
        data = {
            "snapshot": self.manifest.id,
            "train_sha256": "2" * 64,
            "features_sha256": "2" * 64,
            "labels_sha256": self.manifest.holdout_labels.sha256,
            "train_identities_sha256": canonical.sha256(self.train),
            "holdout_identities_sha256": canonical.sha256(self.holdout),
            "train_rows": 1000,
            "holdout_rows": self.manifest.holdout_labels.rows,
        }
        world.evaluate(version, ROC_AUC, data=data, contents_sha256=f"{version:064}")  # another model each time
        return gate.handler(world.gate_event(version), None)


def add(snapshot: str, person: str = "grace", role: str = "lockgate-approver", **changes: Any) -> tuple[int, str]:
    arn = f"arn:aws:sts::123456789012:assumed-role/{role}/{person}"
    body = {"model": "income", "snapshot": snapshot, **changes}
    response = holdout.handler(signed.event(arn, body, "holdout"), None)
    return response["statusCode"], json.loads(response["body"])["message"]


@pytest.fixture
def used(world: World) -> Published:
    """The model's first holdout, rows 1000 to 1999, whose only decision is spent."""
    world.change_policy("decisions = 32", "decisions = 1")
    first = Published(world, "a", range(1000), range(1000, 2000))
    assert first.judge(world, 1)["outcome"] == "passed"
    assert first.judge(world, 2)["outcome"] == "inconclusive"
    return first


def test_a_fresh_holdout_is_recorded_with_digest_owner_rows_and_proof_and_serves_decisions(
    world: World, used: Published
) -> None:
    fresh = Published(world, "b", range(1000), range(2000, 2600))
    assert fresh.judge(world, 3)["outcome"] == "inconclusive"
    status, message = add(fresh.manifest.id)
    assert (status, "recorded as income/4: 600 rows, none of which is in train of" in message) == (200, True)
    body = world.records()[-1]["body"]
    assert (body["person"], body["rows"], body["holdout_sha256"]) == ("grace", 600, "b" * 64)
    assert body["holdout_identities_sha256"] == canonical.sha256(fresh.holdout)
    compared = {(each["part"], each["snapshot"]): each["rows"] for each in body["compared"]}
    assert compared == {
        ("train", fresh.manifest.id): 1000,
        ("holdout", used.manifest.id): 1000,
        ("train", used.manifest.id): 1000,
    }
    assert {each["alike"] for each in body["compared"]} == {600}
    assert fresh.judge(world, 4)["outcome"] == "passed"
    verdict = world.records()[-1]["body"]
    assert (verdict["holdout"], verdict["spent_before"]) == (2, 0)


def test_a_holdout_recorded_again_is_one_record(world: World, used: Published) -> None:
    fresh = Published(world, "b", range(1000), range(2000, 2600))
    assert add(fresh.manifest.id) == add(fresh.manifest.id, person="dave")
    assert [found["kind"] for found in world.records()].count("holdout") == 1


@pytest.mark.parametrize(
    ("train", "rows", "message"),
    [
        (range(1000), range(1999, 2600), "found 1 of 601 rows that holdout of snapshot"),
        (range(1000), range(999, 1000), "found 1 of 1 rows that train of snapshot"),
        (range(5000, 6001), range(6000, 6100), "found 1 of 100 rows that train of snapshot"),
    ],
    ids=["a row of the holdout before", "a row of training before", "a row of its own training"],
)
def test_rows_that_were_seen_before_are_refused(
    world: World, used: Published, train: range, rows: range, message: str
) -> None:
    leaky = Published(world, "b", train, rows)
    status, said = add(leaky.manifest.id)
    assert (status, message in said, said.endswith("these rows are not fresh")) == (409, True, True)
    assert "holdout" not in [found["kind"] for found in world.records()]


def test_digests_that_are_not_those_of_the_evaluated_rows_are_refused(world: World, used: Published) -> None:
    """Somebody replaced what the ledger's holdout is compared by."""
    key = names.identities_key("income", used.manifest.id, "holdout")
    world.s3.put_object(Bucket="test-data", Key=key, Body=digests(range(9000, 10_000)))
    fresh = Published(world, "b", range(1000), range(1000, 1600))
    status, message = add(fresh.manifest.id)
    assert status == 409
    assert "they are not those of the rows that were evaluated" in message


def test_digests_of_other_rows_than_those_delivered_do_not_help(world: World, used: Published) -> None:
    """The owner publishes digests of fresh rows beside a holdout of used ones: the evaluator's digests tell."""
    fresh = Published(world, "b", range(1000), range(2000, 3000))
    assert add(fresh.manifest.id)[0] == 200
    fresh.holdout = digests(range(1000, 2000))  # what the evaluator finds in the rows
    assert fresh.judge(world, 3)["outcome"] == "inconclusive"
    assert "of which income/3 says that they are fresh" in world.records()[-1]["body"]["reasons"][0]["message"]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"snapshot": "0" * 16}, 404, "publish it with `lockgate snapshot` first"),
        ({"snapshot": "../manifest"}, 400, "expected the 16 digits of a snapshot's id"),
        ({"snapshot": 7}, 400, "snapshot: found 7"),
        ({"model": "../x"}, 400, "expected a model's name"),
        ({"owner": "me"}, 400, "expected no such field"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(world: World, change: dict[str, Any], status: int, message: str) -> None:
    fresh = Published(world, "b", range(10), range(10, 20))
    found = add(**{"snapshot": fresh.manifest.id, **change})
    assert (found[0], message in found[1]) == (status, True), found
    assert world.records() == []


def test_only_a_person_with_the_approvers_role_is_heard(world: World) -> None:
    fresh = Published(world, "b", range(10), range(10, 20))
    assert add(fresh.manifest.id, role="lockgate-delivery")[0] == 403


def test_digests_of_another_number_of_rows_are_refused(world: World) -> None:
    fresh = Published(world, "b", range(10), range(10, 20))
    key = names.identities_key("income", fresh.manifest.id, "holdout")
    world.s3.put_object(Bucket="test-data", Key=key, Body=digests(range(10, 15)))
    assert "found digests of 5 rows, expected 10: publish it again" in add(fresh.manifest.id)[1]
    world.s3.put_object(Bucket="test-data", Key=key, Body=b"?")
    assert "found 1 bytes, expected 32 a row" in add(fresh.manifest.id)[1]
