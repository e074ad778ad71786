"""The chain of records: whatever is changed, dropped, reordered or slipped in is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate import canonical
from lockgate.errors import LedgerError
from lockgate.ledger.records import (
    FIRST,
    Entry,
    Record,
    find,
    head_of,
    live,
    next_record,
    read_chain,
    read_record,
    refuse_unless_extends,
)

TIME = "2026-11-21T00:00:00.000Z"
sizes = st.integers(2, 6)


def chain_of(*entries: Entry, model: str = "income") -> list[Record]:
    chain: list[Record] = []
    for entry in entries:
        chain.append(next_record(model, chain, entry, TIME))
    return chain


def verdict(name: str) -> Entry:
    return Entry("verdict", name, 1, "dev", {"outcome": "passed", "n": 0.1})


def deployment(version: int, environment: str, outcome: str) -> Entry:
    name = f"deployment:{version}:{environment}:{outcome}"
    return Entry("deployment", name, version, environment, {"outcome": outcome})


def stored(size: int) -> list[bytes]:
    return [record.to_bytes() for record in chain_of(*(verdict(f"v{i}") for i in range(size)))]


@given(st.integers(0, 6))
def test_a_chain_is_read_as_it_was_written(size: int) -> None:
    chain = chain_of(*(verdict(f"v{i}") for i in range(size)))
    assert read_chain("income", [record.to_bytes() for record in chain]) == tuple(chain)


def test_a_chain_starts_at_one_from_nothing_and_each_names_the_one_before() -> None:
    first, second = chain_of(verdict("a"), verdict("b"))
    assert (first.sequence, first.previous) == (1, FIRST)
    assert (second.sequence, second.previous) == (2, first.sha256)
    assert first.sha256 == canonical.sha256(first.to_bytes())


@given(sizes, st.data())
def test_a_dropped_record_is_noticed_unless_it_is_the_last(size: int, draw: st.DataObject) -> None:
    data = stored(size)
    del data[draw.draw(st.integers(0, size - 2))]
    with pytest.raises(LedgerError, match="dropped or reordered"):
        read_chain("income", data)


@given(sizes, st.data())
def test_a_changed_record_is_noticed_unless_it_is_the_last(size: int, draw: st.DataObject) -> None:
    data = stored(size)
    position = draw.draw(st.integers(0, size - 2))
    data[position] = data[position].replace(b"passed", b"failed")
    with pytest.raises(LedgerError, match=f"record {position + 2}"):
        read_chain("income", data)


@given(sizes, st.data())
def test_any_change_of_a_byte_is_noticed_before_the_last(size: int, draw: st.DataObject) -> None:
    data = stored(size)
    position = draw.draw(st.integers(0, size - 2))
    changed = bytearray(data[position])
    changed[draw.draw(st.integers(0, len(changed) - 1))] ^= draw.draw(st.integers(1, 255))
    data[position] = bytes(changed)
    with pytest.raises(LedgerError):
        read_chain("income", data)


@given(st.permutations(range(4)))
def test_reordered_records_are_noticed(order: list[int]) -> None:
    data = stored(4)
    if order == [0, 1, 2, 3]:
        return
    with pytest.raises(LedgerError, match="dropped or reordered"):
        read_chain("income", [data[i] for i in order])


def test_a_record_of_another_chain_is_noticed() -> None:
    other = chain_of(verdict("a"), model="churn")[0].to_bytes()
    with pytest.raises(LedgerError, match="found churn 1"):
        read_chain("income", [other])


def test_the_same_content_in_another_form_is_noticed() -> None:
    data = stored(1)
    with pytest.raises(LedgerError, match="not in canonical form"):
        read_chain("income", [json.dumps(json.loads(data[0])).encode()])


def test_an_extra_key_is_noticed() -> None:
    document = {**json.loads(stored(1)[0]), "comment": "looks fine"}
    with pytest.raises(LedgerError, match="not in canonical form"):
        read_chain("income", [canonical.to_bytes(document)])


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": True},
        {"sequence": "1"},
        {"version": 1.0},
        {"body": []},
        {"kind": "wish"},
        {"schema": "x"},
        {"id": 7},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    document = {**json.loads(stored(1)[0]), **change}
    with pytest.raises(LedgerError, match="found"):
        read_record(canonical.to_bytes(document))


@pytest.mark.parametrize("kind", [["verdict"], {"a": 1}, None], ids=str)
def test_a_kind_that_is_no_text_is_refused(kind: object) -> None:
    with pytest.raises(LedgerError, match="kind"):
        read_record(canonical.to_bytes({**json.loads(stored(1)[0]), "kind": kind}))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(LedgerError):
        read_record(data)


def test_a_record_is_found_by_the_id_of_its_fact() -> None:
    chain = chain_of(verdict("a"), verdict("b"))
    assert find(chain, "b") is chain[1]
    assert find(chain, "c") is None


def test_live_is_the_last_success_in_that_environment() -> None:
    chain = chain_of(
        deployment(1, "dev", "succeeded"),
        deployment(1, "prod", "succeeded"),
        deployment(2, "dev", "succeeded"),
        deployment(3, "dev", "failed"),
    )
    assert live(chain, "dev") is chain[2]
    assert live(chain, "prod") is chain[1]
    assert live(chain, "staging") is None


def test_a_chain_that_grew_from_a_kept_head_is_accepted_and_one_that_was_cut_off_or_written_anew_is_not() -> None:
    whole = chain_of(*(verdict(f"v{i}") for i in range(5)))
    for length in range(6):
        refuse_unless_extends("income", whole, head_of(whole[:length]))
    for length in range(1, 5):
        with pytest.raises(LedgerError, match="cut off or written anew"):
            refuse_unless_extends("income", whole[:length], head_of(whole))
    other = chain_of(*(verdict(f"other{i}") for i in range(5)))
    with pytest.raises(LedgerError, match="written anew"):
        refuse_unless_extends("income", other, head_of(whole))


def test_a_rollback_recorded_after_a_later_promotion_is_not_what_is_live() -> None:
    bodies = [{"outcome": "succeeded", "place": place} for place in (1, 5, 3)]
    chain = chain_of(*(Entry("deployment", f"d{n}", n, "prod", body) for n, body in enumerate(bodies)))
    assert live(chain, "prod") == chain[1]


def test_deployments_recorded_before_there_were_journals_came_before_all_others() -> None:
    chain = chain_of(
        deployment(1, "prod", "succeeded"),
        Entry("deployment", "new", 2, "prod", {"outcome": "succeeded", "place": 1}),
    )
    assert live(chain, "prod") == chain[1]
