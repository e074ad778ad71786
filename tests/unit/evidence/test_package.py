"""Lineage: all of it, or none."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from lockgate.errors import EvidenceError
from lockgate.evidence.package import Lineage, read_lineage

NAMES = [field.name for field in fields(Lineage)]
LINEAGE = {name: f"the {name}" for name in NAMES}


def test_lineage_is_read_from_the_metadata_of_a_package() -> None:
    assert asdict(read_lineage(LINEAGE)) == LINEAGE


def test_metadata_of_others_is_ignored() -> None:
    assert read_lineage({**LINEAGE, "ticket": "7"}) == read_lineage(LINEAGE)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_or_empty_is_named(name: str) -> None:
    for properties in ({**LINEAGE, name: ""}, {key: value for key, value in LINEAGE.items() if key != name}):
        with pytest.raises(EvidenceError, match=f"metadata {name}: found nothing"):
            read_lineage(properties)


def test_everything_missing_is_named_at_once() -> None:
    with pytest.raises(EvidenceError, match=", ".join(NAMES)):
        read_lineage({})
