"""Evidence: read only as it was written, and strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate import canonical
from lockgate.errors import EvidenceError
from lockgate.evidence.document import Evidence, Metric, read_evidence

numbers = st.floats(allow_nan=False, allow_infinity=False)
metrics = st.builds(Metric, numbers, st.integers(0, 10**9), st.dictionaries(st.sampled_from("abc"), numbers))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def read(document: Any) -> Evidence:
    data = json.dumps(document).encode()
    return read_evidence(data, canonical.sha256(data))


@given(st.dictionaries(st.sampled_from(["roc_auc", "log_loss"]), metrics))
def test_what_is_written_is_what_is_read(make_evidence: Callable[..., Evidence], measured: dict[str, Metric]) -> None:
    evidence = make_evidence(metrics=measured)
    data = evidence.to_bytes()
    assert read_evidence(data, canonical.sha256(data)) == evidence
    assert read_evidence(data, canonical.sha256(data)).to_bytes() == data


@given(st.data())
def test_any_changed_byte_is_noticed(make_evidence: Callable[..., Evidence], draw: st.DataObject) -> None:
    data = bytearray(make_evidence().to_bytes())
    digest = canonical.sha256(bytes(data))
    position = draw.draw(st.integers(0, len(data) - 1))
    data[position] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(EvidenceError, match="it was altered or replaced"):
        read_evidence(bytes(data), digest)


def test_a_number_that_is_not_finite_cannot_be_written(make_evidence: Callable[..., Evidence]) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        make_evidence(metrics={"roc_auc": Metric(float("nan"), 10)}).to_bytes()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_cannot_be_read(make_evidence: Callable[..., Evidence], text: str) -> None:
    data = make_evidence().to_bytes().replace(b'"value":0.9', f'"value":{text}'.encode())
    with pytest.raises(EvidenceError, match=f"found the number {text}"):
        read_evidence(data, canonical.sha256(data))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", "lockgate.evidence/3", "schema: found 'lockgate.evidence/3'"),
        ("model", "", "model: found ''"),
        ("commit", "c" * 39, "commit: found"),
        ("commit", "c" * 40 + "\n", "commit: found"),
        ("image", "repository:latest", "image: found 'repository:latest'"),
        ("model_sha256", "B" * 64, "model_sha256: found"),
        ("features", "AGEP", "features: found 'AGEP', expected a list of texts"),
        ("features", ["AGEP", 1], "expected a list of texts"),
        ("parameters", [], r"parameters: found \[\], expected an object"),
        ("engine", "walker", r"engine: found 'walker', expected an object"),
        ("metrics", [], r"metrics: found \[\], expected an object"),
        ("data", None, "data: found None, expected an object"),
        ("data.train_rows", -1, "train_rows: found -1, expected a count"),
        ("data.train_rows", 1.0, "train_rows: found 1.0, expected a count"),
        ("data.holdout_rows", True, "holdout_rows: found True, expected a count"),
        ("data.train_rows", 2**53 + 1, "train_rows: found 9007199254740993, expected a count"),
        ("data.labels_sha256", "x", "labels_sha256: found 'x'"),
    ],
)
def test_a_part_that_is_not_what_the_schema_says_is_refused(
    make_evidence: Callable[..., Evidence], path: str, value: object, message: str
) -> None:
    document = json.loads(make_evidence().to_bytes())
    *parents, key = path.split(".")
    part = document
    for parent in parents:
        part = part[parent]
    part[key] = value
    with pytest.raises(EvidenceError, match=message):
        read(document)
    del part[key]
    with pytest.raises(EvidenceError, match=f"{key}: found None"):
        read(document)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("0.9", "found str, expected an object"),
        ({"rows": 1, "statistics": {}}, "value: found None"),
        ({"value": "0.9", "rows": 1, "statistics": {}}, "value: found '0.9'"),
        ({"value": True, "rows": 1, "statistics": {}}, "value: found True"),
        ({"value": 10**400, "rows": 1, "statistics": {}}, "value: found 1000"),
        ({"value": 0.9, "statistics": {}}, "rows: found None"),
        ({"value": 0.9, "rows": 1.5, "statistics": {}}, "rows: found 1.5"),
        ({"value": 0.9, "rows": 1}, "statistics: found None"),
        ({"value": 0.9, "rows": 1, "statistics": {"pairs": None}}, "pairs: found None"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_one_unreadable_metric_does_not_hide_the_others(
    make_evidence: Callable[..., Evidence], metric: object, message: str
) -> None:
    document = json.loads(make_evidence().to_bytes())
    document["metrics"]["broken"] = metric
    evidence = read(document)
    assert list(evidence.metrics) == ["roc_auc"]
    assert message in evidence.unreadable["broken"]


@given(anything)
def test_whatever_stands_where_a_metric_should_it_is_kept_out_or_finite(
    make_evidence: Callable[..., Evidence], found: object
) -> None:
    document = json.loads(make_evidence().to_bytes())
    document["metrics"]["it"] = {"value": found, "rows": 1, "statistics": {}}
    try:
        evidence = read(document)
    except EvidenceError:
        return
    plain = isinstance(found, int | float) and not isinstance(found, bool)
    assert ("it" in evidence.metrics) == plain
    assert ("it" in evidence.unreadable) != plain
