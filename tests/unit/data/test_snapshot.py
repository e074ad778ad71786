"""A snapshot's manifest is what its id says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate import canonical
from lockgate.data.snapshot import Manifest, Part, read_manifest
from lockgate.errors import EvidenceError
from lockgate.tasks.target import Target, binary

MANIFEST = Manifest(
    model="income",
    identifier="person",
    target=binary("employed"),
    features=("AGEP", "SCHL"),
    protected=("SEX",),
    train=Part("1" * 64, 2000),
    holdout_features=Part("2" * 64, 1000),
    holdout_labels=Part("3" * 64, 1000),
    sources={"2015.parquet": "4" * 64},
)


@pytest.mark.parametrize(
    "target",
    [
        binary("employed"),
        Target("income", "binary", ("<=50K", ">50K"), {"false_positive": 1.0, "false_negative": 5.0}),
        Target("kind", "multiclass", (1, 2, 3)),
        Target("paid", "binary", (False, True)),
        Target("price", "regression", (), {"minimum": 0.0, "maximum": 5e5}),
    ],
)
def test_a_manifest_is_read_as_it_was_written(target: Target) -> None:
    manifest = replace(MANIFEST, target=target)
    read = read_manifest(manifest.to_bytes(), manifest.id)
    assert read == manifest
    assert list(map(type, read.target.classes)) == list(map(type, target.classes)), "False equals 0"


def test_the_id_of_a_snapshot_of_0_1_is_what_it_was() -> None:
    """Its target is the name of a column with labels 0 and 1."""
    document = json.loads(MANIFEST.to_bytes())
    assert (document["schema"], document["target"]) == ("lockgate.snapshot/1", "employed")


def test_the_id_is_the_start_of_the_digest() -> None:
    assert canonical.sha256(MANIFEST.to_bytes()).startswith(MANIFEST.id)
    assert len(MANIFEST.id) == 16


@given(st.data())
def test_any_changed_byte_is_noticed(draw: st.DataObject) -> None:
    data = bytearray(MANIFEST.to_bytes())
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(EvidenceError, match="it was altered"):
        read_manifest(bytes(data), MANIFEST.id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "lockgate.snapshot/3"}, "expected schema"),
        ({"extra": 1}, "not a manifest"),
        ({"train": {"sha256": "1" * 64}}, "not a manifest"),
        ({"train": {"sha256": "1" * 64, "rows": 1, "extra": 1}}, "not a manifest"),
        ({"train": None}, "not a manifest"),
        ({"features": None}, "not a manifest"),
    ],
    ids=str,
)
def test_a_document_of_another_shape_is_refused(change: dict[str, Any], message: str) -> None:
    data = canonical.to_bytes({**json.loads(MANIFEST.to_bytes()), **change})
    with pytest.raises(EvidenceError, match=message):
        read_manifest(data, canonical.sha256(data)[:16])


@pytest.mark.parametrize(
    "change",
    [
        {"features": "AGEP"},
        {"features": [1]},
        {"model": 7},
        {"target": None},
        {"train": {"sha256": 7, "rows": 1}},
        {"train": {"sha256": "1" * 64, "rows": "many"}},
        {"train": {"sha256": "1" * 64, "rows": -1}},
        {"sources": ["2015.parquet"]},
    ],
    ids=str,
)
def test_a_part_of_another_type_is_refused(change: dict[str, Any]) -> None:
    data = canonical.to_bytes({**json.loads(MANIFEST.to_bytes()), **change})
    with pytest.raises(EvidenceError):
        read_manifest(data, canonical.sha256(data)[:16])


def test_a_missing_part_is_refused() -> None:
    for name in json.loads(MANIFEST.to_bytes()):
        document = json.loads(MANIFEST.to_bytes())
        del document[name]
        data = canonical.to_bytes(document)
        with pytest.raises(EvidenceError):
            read_manifest(data, canonical.sha256(data)[:16])
