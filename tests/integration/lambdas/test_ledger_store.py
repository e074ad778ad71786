"""The ledger in S3: nothing is lost between writers, nothing that was changed is read."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lockgate import names, schema
from lockgate.aws.ledger import LedgerStore
from lockgate.aws.write_once import put_once
from lockgate.errors import BusyError, LedgerError
from lockgate.ledger.chain import Chain
from lockgate.ledger.kinds import Verdict
from lockgate.ledger.records import Entry
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

TIME = "2026-11-21T00:00:00.000Z"


def entry(name: str) -> Entry[Verdict]:
    return records.entry(records.verdict(), entry_id=name)


class Atomic:
    """S3 whose conditional put is atomic, as AWS's is: moto looks and then writes, without a lock."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._lock = threading.Lock()
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **request: Any) -> Any:
        with self._lock:
            try:
                return self._s3.put_object(**request)
            except ClientError:
                self.lost += 1
                raise


@pytest.fixture
def store(world: World) -> LedgerStore:
    return LedgerStore(world.s3, "test-ledger")


def test_records_are_numbered_from_one_and_read_back_in_order(store: LedgerStore) -> None:
    written = [store.append("income", entry(f"e{i}"), TIME) for i in range(3)]
    assert [record.sequence for record in written] == [1, 2, 3]
    assert store.chain("income") == Chain("income", tuple(written))


def test_a_model_without_records_has_an_empty_chain(store: LedgerStore) -> None:
    assert store.chain("income") == Chain("income")


def test_every_model_has_its_own_chain(store: LedgerStore) -> None:
    for model in ("zebra", "ant"):
        store.append(model, entry("same"), TIME)
    store.append(names.INFRASTRUCTURE_CHAIN, records.entry(records.stack_request(), 0), TIME)
    assert store.models() == ("ant", "zebra")
    assert store.chains() == ("ant", names.INFRASTRUCTURE_CHAIN, "zebra")
    assert [record.model for record in store.chain("ant")] == ["ant"]


def test_a_model_whose_name_starts_another_is_not_mixed_up_with_it(store: LedgerStore) -> None:
    store.append("income", entry("a"), TIME)
    store.append("income-tax", entry("b"), TIME)
    assert len(store.chain("income")) == 1


def test_the_same_entry_again_is_the_same_record(store: LedgerStore) -> None:
    first = store.append("income", entry("e"), TIME)
    assert store.append("income", entry("e"), "2027-01-01T00:00:00.000Z") == first
    assert len(store.chain("income")) == 1


def test_a_record_is_json_written_once(world: World, store: LedgerStore) -> None:
    store.append("income", entry("e"), TIME)
    key = "income/0000000001.json"
    assert world.s3.head_object(Bucket="test-ledger", Key=key)["ContentType"] == "application/json"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        world.s3.put_object(Bucket="test-ledger", Key=key, Body=b"{}", IfNoneMatch="*")


def test_many_writers_at_once_lose_nothing_and_leave_no_gap(world: World) -> None:
    s3 = Atomic(world.s3)
    start = threading.Barrier(6)

    def write(writer: int) -> None:
        own = LedgerStore(s3, "test-ledger")
        start.wait()
        for i in range(3):
            own.append("income", entry(f"{writer}-{i}"), TIME)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    chain = LedgerStore(world.s3, "test-ledger").chain("income")
    assert s3.lost > 0, "the writers never met: this test proves nothing"
    assert [record.sequence for record in chain] == list(range(1, 19))
    assert {record.entry.id for record in chain} == {f"{writer}-{i}" for writer in range(6) for i in range(3)}


def test_two_writers_of_the_same_entry_at_once_leave_one_record(world: World) -> None:
    s3 = Atomic(world.s3)
    start = threading.Barrier(4)

    def write(_: int) -> int:
        start.wait()
        return LedgerStore(s3, "test-ledger").append("income", entry("same"), TIME).sequence

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(4))) == [1, 1, 1, 1]
    assert len(world.records()) == 1


class Contested:
    """S3 where somebody else always was first."""

    def __init__(self, s3: Any, code: str) -> None:
        self._s3 = s3
        self._code = code
        self.attempts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **_: Any) -> Any:
        self.attempts += 1
        raise ClientError({"Error": {"Code": self._code, "Message": ""}}, "PutObject")


@pytest.mark.parametrize(("code", "attempts"), [("PreconditionFailed", 12), ("ConditionalRequestConflict", 6)])
def test_a_writer_that_always_loses_gives_up_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str, attempts: int
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    s3 = Contested(world.s3, code)
    with pytest.raises(BusyError, match=f"{attempts} times in a row"):
        LedgerStore(s3, "test-ledger").append("income", entry("e"), TIME)
    assert s3.attempts == attempts


def test_a_request_on_the_same_key_that_came_to_nothing_keeps_no_object_from_being_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    s3 = Contested(world.s3, "ConditionalRequestConflict")
    real = s3.put_object
    monkeypatch.setattr(s3, "put_object", lambda **given: (real if s3.attempts < 2 else world.s3.put_object)(**given))
    assert put_once(s3, "test-ledger", "a/key", b"once") is True
    assert put_once(world.s3, "test-ledger", "a/key", b"twice") is False
    assert world.s3.get_object(Bucket="test-ledger", Key="a/key")["Body"].read() == b"once"


def test_what_is_written_once_is_written_in_one_place() -> None:
    root = Path(__file__).parents[3]
    folders = ("lockgate", "lambdas", "cli", "runtime")
    files = [file for folder in folders for file in (root / folder).rglob("*.py") if "IfNoneMatch=" in file.read_text()]
    assert [file.relative_to(root).as_posix() for file in files] == ["lockgate/aws/write_once.py"]


def test_another_refusal_of_s3_is_raised_at_once(world: World) -> None:
    s3 = Contested(world.s3, "AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        LedgerStore(s3, "test-ledger").append("income", entry("e"), TIME)
    assert s3.attempts == 1


def plant(world: World, sequence: int, **changes: Any) -> None:
    """Overwrite a record, as somebody with the rights of an administrator could."""
    key = f"income/{sequence:010d}.json"
    record = json.loads(world.s3.get_object(Bucket="test-ledger", Key=key)["Body"].read())
    data = json.dumps({**record, **changes}, sort_keys=True, separators=(",", ":")).encode()
    world.s3.put_object(Bucket="test-ledger", Key=key, Body=data)


def test_a_changed_record_is_noticed_also_by_a_process_that_read_it_before(world: World, store: LedgerStore) -> None:
    for i in range(3):
        store.append("income", entry(f"e{i}"), TIME)
    assert len(store.chain("income")) == 3
    plant(world, 2, body=schema.write(records.verdict(outcome="failed")))
    with pytest.raises(LedgerError, match="the first 3 records, read before, changed or went"):
        store.chain("income")
    with pytest.raises(LedgerError, match="record 3"):
        LedgerStore(world.s3, "test-ledger").chain("income")


@pytest.mark.parametrize("change", ["rewritten", "cut off"])
def test_a_last_record_that_fits_the_hashes_is_noticed_by_a_process_that_read_another(
    world: World, store: LedgerStore, change: str
) -> None:
    """Whoever reads the chain for the first time needs the head in the other account for that."""
    for i in range(3):
        store.append("income", entry(f"e{i}"), TIME)
    assert len(store.chain("income")) == 3
    if change == "rewritten":
        plant(world, 3, body=schema.write(records.verdict(outcome="failed")))
    else:
        world.s3.delete_object(Bucket="test-ledger", Key="income/0000000003.json")
    assert len(LedgerStore(world.s3, "test-ledger").chain("income")) in (2, 3)
    with pytest.raises(LedgerError, match="the first 3 records, read before, changed or went"):
        store.append("income", entry("next"), TIME)


def test_a_dropped_record_is_noticed_and_nothing_is_appended_to_a_broken_chain(
    world: World, store: LedgerStore
) -> None:
    for i in range(3):
        store.append("income", entry(f"e{i}"), TIME)
    world.s3.delete_object(Bucket="test-ledger", Key="income/0000000002.json")
    with pytest.raises(LedgerError, match=r"found income/0000000003.json, expected income/0000000002.json"):
        store.append("income", entry("next"), TIME)
    assert len(world.records()) == 2


def test_an_object_that_is_no_record_is_noticed(world: World, store: LedgerStore) -> None:
    world.s3.put_object(Bucket="test-ledger", Key="income/0000000001.json", Body=b"hello")
    with pytest.raises(LedgerError, match="not JSON"):
        store.chain("income")


def test_who_looks_sees_the_others_where_one_record_cannot_be_read(world: World, store: LedgerStore) -> None:
    for i in range(2):
        store.append("income", entry(f"e{i}"), TIME)
    plant(world, 2, body={})
    seen = LedgerStore(world.s3, "test-ledger").look("income")
    assert [record.entry.id for record in seen] == ["e0"]
    assert [(bad.model, bad.sequence) for bad in seen.bad] == [("income", 2)]
    with pytest.raises(LedgerError, match="record 2: record income/2, verdict: found no "):
        LedgerStore(world.s3, "test-ledger").chain("income")


def test_who_looks_sees_the_others_where_one_record_is_gone_or_is_none(world: World, store: LedgerStore) -> None:
    for i in range(3):
        store.append("income", entry(f"e{i}"), TIME)
    world.s3.delete_object(Bucket="test-ledger", Key="income/0000000002.json")
    world.s3.put_object(Bucket="test-ledger", Key="income/notes.txt", Body=b"mine")
    seen = LedgerStore(world.s3, "test-ledger").look("income")
    assert [record.entry.id for record in seen] == ["e0", "e2"]
    assert [bad.sequence for bad in seen.bad] == [2]
    assert not LedgerStore(world.s3, "test-ledger").look("churn").bad


def test_a_record_is_fetched_once_a_process(world: World) -> None:
    class Counting(Atomic):
        fetched = 0

        def get_object(self, **request: Any) -> Any:
            Counting.fetched += 1
            return self._s3.get_object(**request)

    store = LedgerStore(Counting(world.s3), "test-ledger")
    for i in range(4):
        store.append("income", entry(f"e{i}"), TIME)
    store.chain("income")
    store.chain("income")
    assert Counting.fetched == 4
