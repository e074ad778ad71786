"""What is kept or sent has a type: a frozen dataclass that is read strictly and written back byte for byte.

A field without a default is always written, as null where it is not known. A field with a default is younger than its
type: what was written before does not have it, and it is left out where it has its default. So no new field changes the
bytes of what was written before. `from_` stands for the name `from`, which Python keeps for itself.

Fields are texts, numbers, truth values, `Any`, literals, other such dataclasses, and tuples, mappings and unions of
these. Of several dataclasses in a union the one with the document's fields is read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Set
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    NoReturn,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from lockgate.errors import LockgateError

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Document:
    """What types of documents extend: a frozen dataclass that is made with keyword arguments.

    `dataclass` compiles six methods for each class, which every function would pay at its start for all kinds of
    records; these are written once.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)

    def __init__(self, **values: Any) -> None:
        kind: Any = type(self)
        known = {field.name: field.default for _, field in _fields(kind)}
        missing = [name for name, default in known.items() if name not in values and default is dataclasses.MISSING]
        if missing or not values.keys() <= known.keys():
            wrong = ", ".join(missing or sorted(values.keys() - known.keys()))
            raise TypeError(f"{kind.__name__}: {'missing' if missing else 'unknown'} arguments: {wrong}")
        self.__dict__.update({**known, **values})
        self.__post_init__()

    def __post_init__(self) -> None:
        """What a type checks beyond the types of its fields; it raises a LockgateError."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        said = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self))
        return f"{type(self).__name__}({said})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    __hash__ = None  # type: ignore[assignment]  # some have mappings


Reader = Callable[[Any], Any]
_EXPECTED = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def read(
    kind: type[T], document: object, where: str, error: type[LockgateError], advice: str = "", *, strict: bool = True
) -> T:
    """The document as an instance of `kind`.

    Raises `error`, saying where, what was found and what was expected, when a field is missing, unknown or mistyped.
    strict: what is kept has no field that its type does not know, and leaves out what has its default. What is sent may
    come from a younger sender, who says more: then False. A type with `STRICT` is always read strictly.
    """
    reader: Reader = _reader(kind, strict)  # type: ignore[arg-type]  # a type can be hashed
    try:
        found: T = reader(document)
    except _MistypedError as mistake:
        path = f"{where}: {'.'.join(reversed(mistake.path))}" if mistake.path else where
        raise error(f"{path}: {mistake}{f': {advice}' if advice else ''}") from None
    return found


def write(value: object) -> Any:
    """The JSON value of an instance; an object for a dataclass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            key: write(found)
            for key, field in _fields(type(value))
            for found in (getattr(value, field.name),)
            if field.default is dataclasses.MISSING or found != field.default
        }
    if isinstance(value, Mapping):
        return {key: write(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [write(each) for each in value]
    return value


def keys(kind: Any) -> frozenset[str]:
    """The names that a type's fields have in a document."""
    return frozenset(key for key, _ in _fields(kind))


class _MistypedError(Exception):
    """What a value is not; `path` leads to it, the innermost key first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str] = []


@cache
def _fields(kind: Any) -> tuple[tuple[str, dataclasses.Field[Any]], ...]:
    return tuple((field.name.removesuffix("_"), field) for field in dataclasses.fields(kind))


@cache
def _reader(kind: Any, strict: bool) -> Reader:
    """What reads a value of a type; made once a type, since a gate reads a whole ledger."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda found: found
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, UnionType):
        return _union(arguments, strict)
    if origin is tuple:
        return _tuple(_reader(arguments[0], strict))
    if origin is Mapping:
        return _mapping(_reader(arguments[1], strict))
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, strict)
    return _scalar((int, float) if kind is float else (kind,), _EXPECTED[kind])


def _scalar(kinds: tuple[type, ...], expected: str) -> Reader:
    def read(found: Any) -> Any:
        if type(found) not in kinds:  # True is an int for isinstance
            raise _MistypedError(f"found {found!r}, expected {expected}")
        return found

    return read


def _literal(allowed: tuple[Any, ...]) -> Reader:
    def read(found: Any) -> Any:
        if not any(type(found) is type(each) and found == each for each in allowed):
            raise _MistypedError(f"found {found!r}, expected {' or '.join(map(str, allowed))}")
        return found

    return read


def _tuple(item: Reader) -> Reader:
    def read(found: Any) -> Any:
        if type(found) is not list:
            raise _MistypedError(f"found {found!r}, expected a list")
        return tuple(_within(str(place), item, each) for place, each in enumerate(found))

    return read


def _mapping(item: Reader) -> Reader:
    def read(found: Any) -> Any:
        if type(found) is not dict:
            raise _MistypedError(f"found {found!r}, expected an object")
        return {key: _within(key, item, each) for key, each in found.items()}

    return read


def _union(kinds: tuple[Any, ...], strict: bool) -> Reader:
    """One dataclass or several, told apart by their fields, or another type; or null."""
    shapes: list[Any] = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    others = [kind for kind in kinds if kind not in shapes]
    known = {keys(shape): _reader(shape, strict) for shape in shapes}
    if shapes and set(others) <= {NoneType}:
        fallback = _reader(shapes[0], strict)

        def read_shape(found: Any) -> Any:
            if found is None and others:
                return None
            return known.get(frozenset(found) if type(found) is dict else frozenset(), fallback)(found)

        return read_shape
    (other,) = [_reader(kind, strict) for kind in others if kind is not NoneType]
    return lambda found: None if found is None and NoneType in others else other(found)


def _dataclass(kind: Any, strict: bool) -> Reader:
    hints = get_type_hints(kind)
    parts = [(key, field.name, _reader(hints[field.name], strict)) for key, field in _fields(kind)]
    known = keys(kind)
    strict = strict or getattr(kind, "STRICT", False)
    defaults = {field.name: field.default for _, field in _fields(kind) if field.default is not dataclasses.MISSING}
    needed = {key for key, field in _fields(kind) if field.name not in defaults}

    def read(found: Any) -> Any:
        if type(found) is not dict:
            raise _MistypedError(f"found {found!r}, expected an object with {', '.join(sorted(needed))}")
        if found.keys() != known:
            _refuse_missing_or_unknown(found.keys(), needed, known if strict else found.keys())
        values, key = dict(defaults), ""
        try:
            for key, name, item in parts:
                if key in found:
                    values[name] = item(found[key])
                    if strict and name in defaults and values[name] == defaults[name]:
                        raise _MistypedError(f"found {found[key]!r}, expected that it is left out")
        except _MistypedError as mistake:
            mistake.path.append(key)
            raise
        return _made(kind, values)

    return read


def _refuse_missing_or_unknown(found: Set[str], needed: Set[str], known: Set[str]) -> None:
    if not needed <= found:
        raise _MistypedError(f"found no {', '.join(sorted(needed - found))}, expected it")
    if not found <= known:
        raise _MistypedError(f"found {', '.join(sorted(found - known))}, expected no such field")


def _made(kind: Any, values: dict[str, Any]) -> Any:
    """An instance, past the slow assignments of a frozen class; its own checks are made."""
    instance = object.__new__(kind)
    instance.__dict__.update(values)
    if hasattr(instance, "__post_init__"):
        try:
            instance.__post_init__()
        except LockgateError as error:
            raise _MistypedError(str(error)) from error
    return instance


def _within(key: str, item: Reader, found: Any) -> Any:
    try:
        return item(found)
    except _MistypedError as mistake:
        mistake.path.append(key)
        raise
