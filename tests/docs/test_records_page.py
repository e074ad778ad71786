"""docs/records.md has every kind and every field of what is kept for years."""

from __future__ import annotations

from dataclasses import fields

from lockgate.ledger import journal, kinds
from scripts.records import PAGE, page


def test_the_page_is_what_the_types_say() -> None:
    assert PAGE.read_text() == page(), "run `make records`"


def test_every_kind_is_a_heading_and_every_field_a_row() -> None:
    shown = page()
    for kind in (*kinds.RELEASE_KINDS.values(), *kinds.STACK_KINDS.values(), *journal.KINDS.values()):
        assert f"### `{kind.KIND}`" in shown
        assert [field.name for field in fields(kind) if f"| `{field.name.removesuffix('_')}` |" not in shown] == []
