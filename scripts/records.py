"""Write docs/records.md: every kind of record of the ledger and of fact of a journal, from the types that read them.

`make records` writes it. A test compares it with the types, so that the page has every field there is.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lockgate.evidence.document import Data
from lockgate.evidence.provenance import Origin
from lockgate.ledger import journal, kinds, records
from lockgate.release.parameters import JudgedRelease, Release
from lockgate.statistics.budget import Budget

PAGE = Path(__file__).resolve().parent.parent / "docs" / "records.md"
# What is inside records, in the order in which a reader meets it.
PARTS = (
    kinds.Reason,
    kinds.Scan,
    Origin,
    kinds.Source,
    kinds.Number,
    Data,
    kinds.Served,
    Budget,
    Release,
    JudgedRelease,
    kinds.Compared,
)
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "null", Any: "anything"}
INTRODUCTION = f"""\
# Kinds of records

This page is made from the types in `lockgate/ledger/` by `make records`, and a test keeps it so. It says what the
ledger and the journals of the environments keep, for as long as they are kept.

A record is one object in the ledger's bucket: canonical JSON with `schema` (`{records.SCHEMA}`), `model`, `sequence`,
`previous` (the SHA-256 of the record before), `time`, `kind`, `id`, `version`, `environment` and `body`. The `id` names
a fact: the same fact again is the same record.

A fact of a journal is one object in the releases bucket of its environment, with `schema` (`{journal.SCHEMA}`),
`sequence`, `time`, `kind`, `token` (the attempt that it belongs to) and `body`.

Each kind has a body of its own, with the fields below. All of them are there since 0.1 unless a field says otherwise.

- Names and meanings stay. What version 0.1 wrote is test data, and every later version reads it and writes it again
  byte for byte.
- A field that is marked *optional* is younger than its kind. It is left out where it has nothing to say, so that older
  records keep their bytes.
- Of a field that may be null, null means that it is not known, or that there is nothing.
- Reading is strict. A kind, a field or a type that is not here is an error that names its place: no gate decides on
  such a chain, and `lockgate verify` refuses it. `lockgate status` and `lockgate explain` name the record and show the
  others.
- Times are UTC, ISO 8601, with milliseconds. Digests are SHA-256, in small hexadecimal digits. A reference names
  another record of the same chain as `<model>/<sequence>`.
"""


def page() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    yield "## Of a model\n"
    for kind, body in kinds.RELEASE_KINDS.items():
        yield from _section(f"`{kind}`", body)
    yield "## Of the stacks\n"
    yield "They are in the chain `infrastructure`. `version` is 0, and `environment` may be `tools` or `anchor` too.\n"
    for kind, stack in kinds.STACK_KINDS.items():
        yield from _section(f"`{kind}` of stacks", stack)
    yield "## Of a journal\n"
    for name, fact in journal.KINDS.items():
        yield from _section(f"`{name}` in a journal", fact)
    yield "## Parts of records\n"
    for part in PARTS:
        yield from _section(part.__name__, part)


def _section(title: str, kind: Any) -> Iterator[str]:
    yield f"### {title}\n"
    yield f"{inspect.getdoc(kind)}\n".split("\n\n")[0].strip() + "\n"
    if hasattr(kind, "id"):
        yield f"Its id is `{_id(kind)}`.\n"
    yield "| field | type | what it says |"
    yield "| --- | --- | --- |"
    hints = get_type_hints(kind)
    documented = _documented(kind)
    for field in dataclasses.fields(kind):
        name = field.name.removesuffix("_")
        optional = "" if field.default is dataclasses.MISSING else ", optional"
        yield f"| `{name}` | {_type(hints[field.name])}{optional} | {documented[field.name]} |"
    yield ""


def _id(kind: Any) -> str:
    """How an id of this kind is composed, with the names of its parts."""
    composed: str = kind.id(**{name: f"<{name}>" for name in inspect.signature(kind.id).parameters})
    return composed


def _type(hint: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(each) for each in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is not None:
        return f"object of {_type(arguments[1])}"
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return WORDS[hint]


@cache
def _documented(kind: type) -> dict[str, str]:
    """Field -> the text under it, also of the types that this one extends. Raises KeyError for a field without one."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(statements):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def main() -> int:
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
