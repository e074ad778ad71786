"""Canonical bytes: one form for one content, and nothing that cannot be read back."""

from __future__ import annotations

import contextlib
import hashlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate import canonical
from lockgate.errors import EvidenceError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(), values, max_size=4)


@given(documents)
def test_what_is_written_is_what_is_read(document: dict[str, Any]) -> None:
    try:
        data = canonical.to_bytes(document)
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8
        return
    assert canonical.from_bytes(data, "it") == document
    assert canonical.to_bytes(canonical.from_bytes(data, "it")) == data


@given(documents)
def test_the_order_of_keys_does_not_matter(document: dict[str, Any]) -> None:
    backwards = dict(reversed(document.items()))
    assert repr(canonical_or_none(document)) == repr(canonical_or_none(backwards))


def canonical_or_none(document: dict[str, Any]) -> bytes | None:
    try:
        return canonical.to_bytes(document)
    except UnicodeEncodeError:
        return None


def test_the_form_has_no_spaces_and_sorted_keys() -> None:
    assert canonical.to_bytes({"b": [1, 2.5], "a": "ä"}) == '{"a":"ä","b":[1,2.5]}'.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical.to_bytes({"a": [number]})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": NaN}', "found the number NaN"),
        (b'{"a": [-Infinity]}', "found the number -Infinity"),
        (b'{"a": 1e999}', "found the number 1e999"),
        (b'{"a": -1e999}', "found the number -1e999"),
        (b'{"a": 1, "a": 2}', r"key\(s\) a twice"),
        (b'{"x": {"a": 1, "b": 1, "a": 2}}', r"key\(s\) a twice"),
        (b"[]", "found list, expected an object"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not JSON"),
        ('{"a": 1}'.encode("utf-32-le"), "not JSON"),
        (b'{"a":' + b"[" * 100_000, "not JSON"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_not_plain_json_is_refused_with_its_name(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=f"^evidence: .*{message}"):
        canonical.from_bytes(data, "evidence")


def test_one_key_twice_among_very_many_is_found_in_one_pass() -> None:
    """Whoever looked at every key for every other would not come back for a quarter of an hour."""
    keys = ",".join(f'"k{number}":0' for number in range(300_000))
    with pytest.raises(EvidenceError, match=r"the key\(s\) k7 twice"):
        canonical.from_bytes(f'{{{keys},"k7":1}}'.encode(), "body")


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(EvidenceError):
        assert isinstance(canonical.from_bytes(data, "it"), dict)


@given(st.binary(), st.integers(1, 7))
def test_a_digest_does_not_depend_on_how_the_bytes_arrive(data: bytes, size: int) -> None:
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert canonical.sha256(chunks) == canonical.sha256(data) == hashlib.sha256(data).hexdigest()


def test_a_digest_of_contents_ignores_order_but_neither_names_nor_bytes() -> None:
    digest = canonical.contents_sha256({"a": b"1", "b": b"2"})
    assert digest == canonical.contents_sha256({"b": b"2", "a": b"1"})
    for other in ({"a": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"1", "c": b"2"}, {"ab": b"12"}):
        assert canonical.contents_sha256(other) != digest
