"""`lockgate verify` finds any one record that was changed, dropped, reordered, inserted or cut off."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from cli.commands import verify
from lambdas import anchor, gate
from lockgate import canonical, names
from lockgate.aws.ledger import LedgerStore
from lockgate.errors import LedgerError
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

RECORDS = 5
Tamper = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def check(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """The command, on a ledger of five decisions whose head is anchored in another account."""
    for version in range(1, RECORDS + 1):
        world.register(version, roc_auc=0.5)
        gate.handler(world.gate_event(version), None)
    anchor.handler({}, None)
    tools = SimpleNamespace(anchor_account="555555555555", region="us-east-1", anchored=True)
    monkeypatch.setattr(names, "anchor_bucket", lambda account, region: "test-anchor")

    def run() -> int:
        # A process of its own has read nothing yet.
        ledger = LedgerStore(world.s3, "test-ledger")
        context = SimpleNamespace(ledger=ledger, tools=tools, client=lambda service: world.s3)
        monkeypatch.setattr(verify, "open_context", lambda: context)
        return verify.run(argparse.Namespace(json=False))

    return run


def changed(place: int) -> Tamper:
    """A refusal turned into a pass, in canonical form."""

    def tamper(stored: list[bytes]) -> list[bytes]:
        document = json.loads(stored[place])
        document["body"]["outcome"] = "passed"
        return [*stored[:place], canonical.to_bytes(document), *stored[place + 1 :]]

    return tamper


def moved(place: int, to: int) -> Tamper:
    def tamper(stored: list[bytes]) -> list[bytes]:
        left = stored[:place] + stored[place + 1 :]
        return [*left[:to], stored[place], *left[to:]]

    return tamper


def inserted(place: int) -> Tamper:
    """A record made to fit: the number of its place, and the digest of the record before."""

    def tamper(stored: list[bytes]) -> list[bytes]:
        before = canonical.sha256(stored[place - 1]) if place else "0" * 64
        document = {**json.loads(stored[0]), "sequence": place + 1, "previous": before, "id": "verdict:invented"}
        return [*stored[:place], canonical.to_bytes(document), *stored[place:]]

    return tamper


def dropped(place: int) -> Tamper:
    return lambda stored: stored[:place] + stored[place + 1 :]


def cut(left: int) -> Tamper:
    return lambda stored: stored[:left]


PLACES = range(RECORDS)
TAMPERED: dict[str, Tamper] = {
    **{f"record {place + 1} changed": changed(place) for place in PLACES},
    **{f"record {place + 1} dropped": dropped(place) for place in PLACES},
    **{f"a record inserted before {place + 1}": inserted(place) for place in PLACES},
    **{f"record {a + 1} moved to {b + 1}": moved(a, b) for a in PLACES for b in PLACES if a != b},
    **{f"cut off after {left}": cut(left) for left in PLACES},
}


@pytest.mark.parametrize("name", TAMPERED)
def test_any_single_record_that_was_tampered_with_is_found(world: World, check: Callable[[], int], name: str) -> None:
    assert check() == 0
    keys = [names.ledger_key("income", place + 1) for place in range(RECORDS + 1)]
    stored = [world.s3.get_object(Bucket="test-ledger", Key=key)["Body"].read() for key in keys[:RECORDS]]
    wanted = TAMPERED[name](stored)
    assert wanted != stored
    for key in keys:
        world.s3.delete_object(Bucket="test-ledger", Key=key)
    for key, data in zip(keys, wanted, strict=False):
        world.s3.put_object(Bucket="test-ledger", Key=key, Body=data)
    with pytest.raises(LedgerError, match="ledger of income"):
        check()


def test_a_key_that_was_taken_away_leaves_a_gap_that_is_found(world: World, check: Callable[[], int]) -> None:
    world.s3.delete_object(Bucket="test-ledger", Key=names.ledger_key("income", 3))
    with pytest.raises(LedgerError, match=r"found income/0*4\S*, expected income/0*3"):
        check()


def test_without_an_anchor_the_chains_are_verified_and_it_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.register(1, roc_auc=0.5)
    gate.handler(world.gate_event(1), None)
    tools = SimpleNamespace(anchor_account="123456789012", region="us-east-1", anchored=False)
    context = SimpleNamespace(ledger=LedgerStore(world.s3, "test-ledger"), tools=tools, client=lambda service: world.s3)
    monkeypatch.setattr(verify, "open_context", lambda: context)
    assert verify.run(argparse.Namespace(json=False)) == 0
    assert "1 records verified, not anchored" in " ".join(capsys.readouterr().out.split())


def test_every_other_chain_is_verified_beside_a_broken_one_and_heads_say_where_the_change_is(
    world: World, check: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    store = LedgerStore(world.s3, "test-ledger")
    for number in range(1, 5):
        store.append("churn", records.entry(records.verdict(), number), "2026-11-22T00:00:00.000Z")
        if number != 3:
            anchor.handler({}, None)  # of the third the anchor has no head: the events of two records may be one
    for number, where in ((2, "record 2"), (3, "one of 3 to 4")):
        key = names.ledger_key("churn", number)
        before = world.s3.get_object(Bucket="test-ledger", Key=key)["Body"].read()
        later = [names.ledger_key("churn", each) for each in range(number, 5)]
        kept = {each: world.s3.get_object(Bucket="test-ledger", Key=each)["Body"].read() for each in later}
        _write_anew(world, kept)
        with pytest.raises(LedgerError) as broken:
            check()
        assert "ledger of churn" in str(broken.value)
        assert f"up to record {number - 1} nothing was changed, and {where} was" in str(broken.value)
        assert "income: 5 records verified" in " ".join(capsys.readouterr().out.split())
        for each, data in kept.items():
            world.s3.put_object(Bucket="test-ledger", Key=each, Body=data)
        assert world.s3.get_object(Bucket="test-ledger", Key=key)["Body"].read() == before
    assert check() == 0


def _write_anew(world: World, kept: dict[str, bytes]) -> None:
    """Change a record and all after it, so that the hashes fit."""
    before = None
    for key, data in kept.items():
        document = json.loads(data)
        if before is None:
            document["body"]["outcome"] = "failed"
        else:
            document["previous"] = before
        changed = canonical.to_bytes(document)
        before = canonical.sha256(changed)
        world.s3.put_object(Bucket="test-ledger", Key=key, Body=changed)
