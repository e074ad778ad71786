"""Which rows there are, without showing one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.data.row_identities import SIZE, alike, identities, read_identities, refuse_shared
from lockgate.errors import EvidenceError

ROWS = st.dictionaries(st.integers(), st.tuples(st.text(max_size=2), st.none() | st.floats()), max_size=20)


@given(ROWS, st.randoms())
def test_digests_depend_on_the_rows_and_not_on_their_order(rows: dict[int, tuple[object, ...]], random: object) -> None:
    shuffled = list(rows.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = identities(rows, rows.values())
    assert identities([row for row, _ in shuffled], [content for _, content in shuffled]) == first
    assert read_identities(first).rows == len(rows)
    assert len(first) == 2 * SIZE * len(rows)


@given(st.sets(st.integers(0, 50), max_size=20), st.sets(st.integers(0, 50), max_size=20))
def test_a_shared_row_is_found_and_only_a_shared_row(one: set[int], other: set[int]) -> None:
    found = [read_identities(identities(rows, [("alike",)] * len(rows))) for rows in (one, other)]
    if one & other:
        with pytest.raises(
            EvidenceError, match=f"holdout: found {len(one & other)} of {len(one)} rows that training has"
        ):
            refuse_shared("holdout", found[0], "training", found[1])
    else:
        refuse_shared("holdout", found[0], "training", found[1])
    assert alike(found[0], found[1]) == (len(one) if other else 0)


def test_rows_that_are_alike_are_counted_and_not_refused() -> None:
    one, other = (read_identities(identities(ids, [("a",), ("b",)])) for ids in ([1, 2], [3, 4]))
    refuse_shared("holdout", one, "training", other)
    assert alike(one, other) == 2
    assert alike(one, read_identities(identities([5], [("b",)]))) == 1


@pytest.mark.parametrize("data", [b"x", b"x" * 16, b"x" * 33])
def test_bytes_that_are_no_digests_are_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match=f"found {len(data)} bytes, expected 32 a row"):
        read_identities(data)


def test_an_identifier_that_comes_twice_is_refused() -> None:
    with pytest.raises(EvidenceError, match="found 1 different identifiers of 2 rows"):
        read_identities(identities([1, 1], [("a",), ("b",)]))
