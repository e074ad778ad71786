"""Heads of the ledger in another account: what was cut off or written anew is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from lambdas import anchor, gate, shared
from lockgate import names
from lockgate.aws.anchor import Anchor
from lockgate.errors import LedgerError
from lockgate.ledger.chain import Head
from lockgate.ledger.records import FIRST

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World


def decide(world: World, *versions: int) -> None:
    for version in versions:
        world.register(version, roc_auc=0.5)
        gate.handler(world.gate_event(version), None)


def kept(world: World) -> Head:
    return Anchor(world.s3, "test-anchor").last("income")


def cut(world: World, sequence: int) -> None:
    world.s3.delete_object(Bucket="test-ledger", Key=names.ledger_key("income", sequence))
    shared.ledger.cache_clear()  # who has read the chain knows by itself; this is about somebody who has not


def test_the_head_of_each_chain_is_kept_and_grows_with_it(world: World) -> None:
    assert kept(world) == Head(0, FIRST)
    decide(world, 1)
    assert anchor.handler({}, None) == {"heads": {"income": 1}}
    decide(world, 2, 3)
    assert anchor.handler({}, None) == {"heads": {"income": 3}}
    chain = shared.ledger("test-ledger").chain("income")
    assert kept(world) == Head(3, chain.records[-1].sha256)
    assert Anchor(world.s3, "test-anchor").models() == ("income",)


def test_the_same_event_again_and_one_that_comes_late_change_nothing(world: World) -> None:
    decide(world, 1)
    anchor.handler({}, None)
    decide(world, 2)
    assert anchor.handler({}, None) == anchor.handler({}, None)
    assert kept(world).sequence == 2


@pytest.mark.parametrize("sequences", [(3,), (2, 3), (1, 2, 3)], ids=str)
def test_a_chain_that_was_cut_off_is_refused_and_its_anchor_stays(world: World, sequences: tuple[int, ...]) -> None:
    decide(world, 1, 2, 3)
    anchor.handler({}, None)
    before = kept(world)
    for sequence in sequences:
        cut(world, sequence)
    with pytest.raises(LedgerError, match=f"found {3 - len(sequences)} records.*cut off or written anew"):
        anchor.handler({}, None)
    assert kept(world) == before


def test_a_chain_that_was_cut_off_and_written_anew_is_refused(world: World) -> None:
    decide(world, 1, 2)
    anchor.handler({}, None)
    cut(world, 2)
    decide(world, 3, 4)
    with pytest.raises(LedgerError, match="records were cut off or written anew"):
        anchor.handler({}, None)


def test_two_who_keep_the_same_head_at_once_agree_and_other_records_do_not(world: World) -> None:
    store = Anchor(world.s3, "test-anchor")
    store.keep("income", Head(7, "a" * 64))
    store.keep("income", Head(7, "a" * 64))
    with pytest.raises(LedgerError, match="record 7 has bbbbbbbbbbbb, the anchor kept aaaaaaaaaaaa"):
        store.keep("income", Head(7, "b" * 64))


@pytest.mark.parametrize("data", [b"", b"{}", b'{"schema":"lockgate.anchor/1","model":"x","sequence":1,"sha256":"a"}'])
def test_an_anchor_that_is_none_is_refused(world: World, data: bytes) -> None:
    world.s3.put_object(Bucket="test-anchor", Key=names.ledger_key("income", 1), Body=data)
    with pytest.raises(LedgerError, match="anchor income/0000000001"):
        kept(world)


def test_an_account_that_does_not_answer_is_a_failure_to_be_retried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(world, 1)
    monkeypatch.setenv("ANCHOR_BUCKET", "nowhere")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        anchor.handler({}, None)


def test_a_broken_chain_keeps_no_other_ones_head_from_the_anchor(world: World) -> None:
    decide(world, 1)
    world.s3.put_object(Bucket="test-ledger", Key=names.ledger_key("churn", 1), Body=b"hello")
    with pytest.raises(LedgerError, match="ledger of churn: record 1"):
        anchor.handler({}, None)
    assert kept(world).sequence == 1
