"""The chain of records: whatever is changed, dropped, reordered or slipped in is noticed."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate import canonical
from lockgate.errors import LedgerError
from lockgate.ledger import kinds
from lockgate.ledger.chain import ReleaseChain, look_at_chain, read_chain, refuse_unless_extends
from lockgate.ledger.records import FIRST, Entry, read_record
from tests import records

sizes = st.integers(2, 6)


def chain(size: int) -> ReleaseChain:
    return records.chain_of(*(records.entry(records.verdict(alpha=0.1), entry_id=f"v{i}") for i in range(size)))


def deployed(version: int, environment: str, outcome: kinds.Ending, **said: Any) -> Entry[kinds.Deployment]:
    return records.entry(records.deployment(outcome, version, **said), version, environment)


def stored(size: int) -> list[bytes]:
    return [record.to_bytes() for record in chain(size)]


@given(st.integers(0, 6))
def test_a_chain_is_read_as_it_was_written(size: int) -> None:
    assert read_chain("income", stored(size)) == chain(size)


def test_a_chain_starts_at_one_from_nothing_and_each_names_the_one_before() -> None:
    first, second = chain(2)
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
    (other,) = records.chain_of(records.entry(records.verdict()), model="churn")
    with pytest.raises(LedgerError, match="found churn 1"):
        read_chain("income", [other.to_bytes()])


def test_the_same_content_in_another_form_is_noticed() -> None:
    data = stored(1)
    with pytest.raises(LedgerError, match="not in canonical form"):
        read_chain("income", [json.dumps(json.loads(data[0])).encode()])


def test_an_extra_key_is_noticed() -> None:
    document = {**json.loads(stored(1)[0]), "comment": "looks fine"}
    with pytest.raises(LedgerError, match="record 1: ledger record: found comment, expected no such field"):
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


def test_a_record_is_found_by_the_id_of_its_fact_and_by_its_reference() -> None:
    two = chain(2)
    assert two.find("v1") is two.referred("income/2") is two.records[1]
    assert two.find("v2") is two.referred("income/3") is two.referred("churn/1") is None


def test_records_are_asked_for_by_kind_version_and_environment() -> None:
    asked = records.chain_of(
        records.entry(records.verdict(), 1, "dev"),
        records.entry(records.deployment(), 1, "dev"),
        records.entry(records.verdict(), 2, "dev"),
        records.entry(records.verdict(), 2, "prod"),
        records.entry(records.rejection(), 2, "prod"),
    )
    assert [record.sequence for record in asked.of(kinds.Verdict)] == [1, 3, 4]
    assert [record.sequence for record in asked.of(kinds.Verdict, 2)] == [3, 4]
    assert [record.sequence for record in asked.of(kinds.Verdict, environment="dev")] == [1, 3]
    assert [record.sequence for record in asked.of(kinds.Answer, 2, "prod")] == [5], "of a kind that has several"
    assert asked.newest(kinds.Verdict, 2, "dev") is asked.records[2]
    assert asked.newest(kinds.Waiver) is None
    assert [record.sequence for record in asked.about(2)] == [3, 4, 5]
    assert [record.sequence for record in asked.after(asked.records[2])] == [4, 5]
    assert [record.sequence for record in asked.before(asked.records[2])] == [1, 2]


def test_live_is_the_last_success_in_that_environment() -> None:
    made = records.chain_of(
        deployed(1, "dev", "succeeded"),
        deployed(1, "prod", "succeeded"),
        deployed(2, "dev", "succeeded"),
        deployed(3, "dev", "failed"),
    )
    assert made.live("dev") is made.records[2]
    assert made.live("prod") is made.records[1]
    assert made.live("staging") is None


def test_a_chain_that_grew_from_a_kept_head_is_accepted_and_one_that_was_cut_off_or_written_anew_is_not() -> None:
    whole = chain(5)
    for length in range(6):
        refuse_unless_extends("income", whole, chain(length).head)
    for length in range(1, 5):
        with pytest.raises(LedgerError, match="cut off or written anew"):
            refuse_unless_extends("income", chain(length), whole.head)
    others = (records.entry(records.verdict(), entry_id=f"other{i}") for i in range(5))
    with pytest.raises(LedgerError, match="written anew"):
        refuse_unless_extends("income", records.chain_of(*others), whole.head)


def test_a_rollback_recorded_after_a_later_promotion_is_not_what_is_live() -> None:
    made = records.chain_of(*(deployed(n, "prod", "succeeded", place=place) for n, place in enumerate((1, 5, 3), 1)))
    assert made.live("prod") is made.records[1]


def test_deployments_recorded_before_there_were_journals_came_before_all_others() -> None:
    made = records.chain_of(deployed(1, "prod", "succeeded", place=0), deployed(2, "prod", "succeeded", place=1))
    assert made.live("prod") is made.records[1]
    assert "place" not in json.loads(made.records[0].to_bytes())["body"]


@pytest.mark.parametrize("body", records.ALL, ids=lambda body: body.KIND)
def test_each_kind_of_record_is_read_as_it_was_written(body: kinds.ReleaseBody) -> None:
    (record,) = records.chain_of(records.entry(body))
    assert read_record(record.to_bytes()) == record


def test_there_is_a_type_for_each_kind_and_infrastructure_has_its_own() -> None:
    assert set(kinds.RELEASE_KINDS) == set(get_args(kinds.Kind)) == {body.KIND for body in records.ALL}
    assert set(kinds.STACK_KINDS) == {"approval-request", "approval", "rejection", "deployment"}
    (record,) = records.stack_chain_of(records.entry(records.stack_request(), 0))
    assert read_record(record.to_bytes()) == record
    with pytest.raises(LedgerError, match="approval-request: found no expires, task_token, verdict_id, expected it"):
        read_record(canonical.to_bytes({**json.loads(record.to_bytes()), "model": "income"}))


def changed(**body: Any) -> bytes:
    (record,) = records.chain_of(records.entry(records.verdict()))
    document = json.loads(record.to_bytes())
    return canonical.to_bytes({**document, "body": {**document["body"], **body}})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (changed(outcome="perhaps"), "outcome: found 'perhaps', expected passed or inconclusive or failed or error"),
        (changed(alpha="0.1"), "alpha: found '0.1', expected a number"),
        (changed(approvals=True), "approvals: found True, expected a whole number"),
        (changed(reasons=[{"rule": "ranking"}]), "reasons.0: found no message, outcome, expected it"),
        (changed(budget=7), "budget: found 7, expected an object"),
        (changed(metrics={"auc": {"value": 1, "rows": None, "statistics": {}}}), "metrics.auc.rows: found None"),
        (changed(wish=1), "found wish, expected no such field"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_wrong_in_a_body_is_said_with_its_place_and_what_to_do(data: bytes, said: str) -> None:
    with pytest.raises(LedgerError) as refused:
        read_record(data)
    assert str(refused.value).startswith("record income/1, verdict: ")
    assert said in str(refused.value)
    assert str(refused.value).endswith("or a newer version of Lockgate wrote it, which then has to read it")


def test_a_verdict_without_a_body_is_no_record() -> None:
    (record,) = records.chain_of(records.entry(records.verdict()))
    with pytest.raises(LedgerError, match="verdict: found no actor, alpha, approvals, budget, "):
        read_record(canonical.to_bytes({**json.loads(record.to_bytes()), "body": {}}))


def test_who_only_looks_sees_every_record_but_the_bad_one_which_is_named() -> None:
    data = stored(3)
    data[1] = canonical.to_bytes({**json.loads(data[1]), "body": {}})
    seen = look_at_chain("income", data)
    assert [record.sequence for record in seen] == [1]
    assert [bad.sequence for bad in seen.bad] == [2, 3], "the third does not fit what the second is now"
    assert "record 2: record income/2, verdict: found no " in seen.bad[0].why
    assert "record 3: previous is " in seen.bad[1].why
    with pytest.raises(LedgerError, match="record 2: "):
        read_chain("income", data)
    assert look_at_chain("income", stored(3)) == chain(3)


def test_who_only_looks_sees_the_records_around_one_that_is_missing() -> None:
    first, second, third = stored(3)
    seen = look_at_chain("income", [first, None, third])
    assert [record.sequence for record in seen] == [1, 3]
    assert [(bad.sequence, bad.why) for bad in seen.bad] == [
        (2, "ledger of income: record 2: found none, expected it: it was dropped")
    ]
    assert [bad.sequence for bad in look_at_chain("income", [None, second]).bad] == [1]
