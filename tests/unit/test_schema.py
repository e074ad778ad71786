"""A document is read as its type or refused with its place, and written back as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Any, Literal

import pytest

from lockgate import schema
from lockgate.errors import LedgerError, RefusedError


@dataclass(frozen=True)
class Short:
    name: str


@dataclass(frozen=True)
class Long:
    name: str
    size: int


class Thing(schema.Document):
    from_: str | None
    kind: Literal["a", "b"]
    share: float
    parts: tuple[Short | Long, ...]
    counts: Mapping[str, int]
    free: Any
    owner: Short | None
    since: str | None = None
    tried: bool = False


WHOLE: dict[str, Any] = {
    "from": None,
    "kind": "a",
    "share": 1,
    "parts": [{"name": "x"}, {"name": "y", "size": 2}],
    "counts": {"high": 3},
    "free": [1, {"any": None}],
    "owner": {"name": "z"},
}


def read(document: object) -> Thing:
    return schema.read(Thing, document, "thing", LedgerError, "ask somebody")


def test_a_document_becomes_its_type_and_is_written_back() -> None:
    thing = read(WHOLE)
    assert (thing.from_, thing.parts, thing.owner) == (None, (Short("x"), Long("y", 2)), Short("z"))
    assert schema.write(thing) == WHOLE
    assert schema.write(read({**WHOLE, "since": "t", "tried": True})) == {**WHOLE, "since": "t", "tried": True}


def test_a_document_is_made_whole_and_never_changed() -> None:
    thing = read(WHOLE)
    assert thing == read(WHOLE) != read({**WHOLE, "kind": "b"})
    assert replace(thing, kind="b") == read({**WHOLE, "kind": "b"})
    assert repr(thing).startswith("Thing(from_=None, kind='a', ")
    with pytest.raises(FrozenInstanceError):
        thing.kind = "b"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del thing.kind  # type: ignore[misc]
    with pytest.raises(TypeError, match="Thing: missing arguments: from_, share, parts"):
        Thing(kind="a", counts={}, free=1, owner=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Thing: unknown arguments: wish"):
        replace(thing, wish=1)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "thing: found [], expected an object with counts, free, from, kind, owner, parts, share"),
        ({}, "thing: found no counts, free, from, kind, owner, parts, share, expected it"),
        ({**WHOLE, "wish": 1}, "thing: found wish, expected no such field"),
        ({**WHOLE, "from": 1}, "thing: from: found 1, expected text"),
        ({**WHOLE, "kind": "c"}, "thing: kind: found 'c', expected a or b"),
        ({**WHOLE, "share": "1"}, "thing: share: found '1', expected a number"),
        ({**WHOLE, "share": True}, "thing: share: found True, expected a number"),
        ({**WHOLE, "share": None}, "thing: share: found None, expected a number"),
        ({**WHOLE, "parts": {}}, "thing: parts: found {}, expected a list"),
        ({**WHOLE, "parts": [{"name": "x"}, {}]}, "thing: parts.1: found no name, expected it"),
        ({**WHOLE, "counts": {"high": 1.5}}, "thing: counts.high: found 1.5, expected a whole number"),
        ({**WHOLE, "counts": []}, "thing: counts: found [], expected an object"),
        ({**WHOLE, "owner": {"name": None}}, "thing: owner.name: found None, expected text"),
        ({**WHOLE, "tried": 1}, "thing: tried: found 1, expected true or false"),
        ({**WHOLE, "tried": False}, "thing: tried: found False, expected that it is left out"),
        ({**WHOLE, "since": None}, "thing: since: found None, expected that it is left out"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_does_not_fit_is_refused_with_its_place_and_what_to_do(document: object, said: str) -> None:
    with pytest.raises(LedgerError) as refused:
        read(document)
    assert str(refused.value) == f"{said}: ask somebody"


def test_a_types_own_checks_are_refusals_too() -> None:
    @dataclass(frozen=True)
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise RefusedError(f"found {self.number}, expected an even number")

    assert schema.read(Even, {"number": 2}, "x", LedgerError) == Even(2)
    with pytest.raises(LedgerError, match="x: found 1, expected an even number"):
        schema.read(Even, {"number": 1}, "x", LedgerError)
