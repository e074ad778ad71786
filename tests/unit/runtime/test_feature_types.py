"""Booleans, days, moments and codes as categories: one rule from the Parquet file to the frame and to the request."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lockgate.configuration.model import Model, read_model
from lockgate.errors import ConfigError, DataContractError
from runtime.columns import canonical_columns
from runtime.contract import accepts, expected, refuse_broken_columns
from runtime.frames import codes_of_table, frame_of_instances, frame_of_table
from runtime.serving import inference
from runtime.serving.engines import choose
from runtime.serving.openapi import openapi
from runtime.serving.rows import Batch, Decoder, Refused

TOML = """
description = "toy"
identifier = "id"
target = "target"
protected = []
owner = "the team of the toy"
intended_use = "tests"

[data]
train = "a.parquet"
holdout = "b.parquet"

[parameters]

[[feature]]
name = "code"
type = "category"
values = [1, 2, 30]

[[feature]]
name = "maybe code"
type = "category"
values = ["1", "2", "other"]
null_share = 0.5

[[feature]]
name = "smokes"
type = "boolean"

[[feature]]
name = "insured"
type = "boolean"
null_share = 0.5

[[feature]]
name = "born"
type = "date"
minimum = 1900-01-01
maximum = 2030-12-31

[[feature]]
name = "seen"
type = "datetime"
minimum = 2000-01-01T00:00:00Z
maximum = 2030-01-01T00:00:00+02:00
null_share = 0.5

[[feature]]
name = "price"
type = "number"
minimum = 0
maximum = 100
"""
ROW: dict[str, Any] = {
    "code": 30, "maybe code": 1, "smokes": True, "insured": False, "born": "1970-01-02",
    "seen": "2026-11-28T12:00:00.000001Z", "price": 1.5,
}  # fmt: skip
NULLS = {**ROW, "maybe code": None, "insured": None, "seen": None, "code": "2"}
SEEN = datetime(2026, 11, 28, 12, 0, 0, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return declared(tmp_path_factory.mktemp("types"), TOML)


def declared(folder: Path, text: str) -> Model:
    toy = folder / "toy"
    toy.mkdir(exist_ok=True)
    (toy / "model.toml").write_text(text)
    (toy / "train.py").write_text("def train(rows, target, model):\n    return None\n")
    return read_model(toy)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """As pandas writes such columns, behind the door for tables."""
    frame = pd.DataFrame(
        {
            "id": [1, 2],
            "code": [30, 2],
            "maybe code": [1.0, None],  # pandas has no integer that may be null
            "smokes": [True, True],
            "insured": pd.array([False, None], dtype="boolean"),
            "born": pd.to_datetime(["1970-01-02", "1970-01-02"]),
            "seen": pd.to_datetime([SEEN, None]),
            "price": [Decimal("1.5"), Decimal("1.5")],
        }
    )
    return canonical_columns(pa.Table.from_pandas(frame), "train")


def test_such_a_table_keeps_the_contract_and_becomes_typed_columns(model: Model, table: pa.Table) -> None:
    refuse_broken_columns(table, model, "train")
    frame = frame_of_table(table, model)
    assert frame["code"].tolist() == ["30", "2"]
    assert [str(frame[name].dtype) for name in ("smokes", "insured")] == ["bool", "float64"]
    assert [str(frame[name].dtype) for name in ("born", "seen")] == ["datetime64[us]", "datetime64[us]"]
    assert frame["born"].tolist() == [pd.Timestamp("1970-01-02")] * 2
    assert frame["seen"].tolist()[0] == pd.Timestamp(SEEN).tz_localize(None) and frame["seen"].isna().tolist()[1]


def batch(model: Model, how: str) -> Batch:
    decoder, rows = Decoder(model), [ROW, NULLS]
    columns = {name: [row[name] for row in rows] for name in ROW}
    if how == "rows":
        return decoder.json(json.dumps({"instances": rows}).encode())
    if how == "columns":
        return decoder.json(json.dumps({"columns": columns}).encode())
    if how == "csv":
        texts = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
        return decoder.csv("\n".join(texts).encode())
    tensors = []
    for each in inference.metadata(model, "1")["inputs"]:
        data = columns[each["name"]]
        data = [str(value) if each["datatype"] == "BYTES" and value is not None else value for value in data]
        tensors.append({**each, "shape": [2], "data": data})
    return inference.read(json.dumps({"inputs": tensors}).encode(), decoder, model)[0]


@pytest.mark.parametrize("how", ["rows", "columns", "csv", "tensors"])
def test_each_way_of_a_request_gives_the_codes_of_the_table(model: Model, table: pa.Table, how: str) -> None:
    found = batch(model, how)
    codes = np.frombuffer(found.codes).reshape(found.rows, len(model.features))
    np.testing.assert_array_equal(codes, codes_of_table(table, model))


def test_the_server_makes_the_frame_that_training_had(model: Model, table: pa.Table) -> None:
    pd.testing.assert_frame_equal(frame_of_instances([ROW, NULLS], model), frame_of_table(table, model))


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("code", 3, "one of '1', '2', '30'"),
        ("code", True, "one of '1', '2', '30'"),
        ("code", "01", "one of '1', '2', '30'"),
        ("code", None, "one of '1', '2', '30'"),
        ("smokes", 1, "true or false"),
        ("smokes", "true", "true or false"),
        ("smokes", None, "true or false"),
        ("born", "1899-12-31", "a date in ISO 8601 from 1900-01-01 to 2030-12-31"),
        ("born", "1970-01-02T00:00:00Z", "a date in ISO 8601 from 1900-01-01 to 2030-12-31"),
        ("born", 1, "a date in ISO 8601 from 1900-01-01 to 2030-12-31"),
        (
            "seen",
            "2029-12-31T22:00:00.000001Z",
            "a datetime in ISO 8601 from 2000-01-01T00:00:00Z to 2029-12-31T22:00:00Z",
        ),
        ("price", "1.5", "a number from 0 to 100"),
    ],
)
@pytest.mark.parametrize("form", ["instances", "columns"])
def test_what_breaks_the_contract_is_refused_by_row_and_column(
    model: Model, name: str, value: object, wanted: str, form: str
) -> None:
    rows = [ROW, {**ROW, name: value}]
    columns = {each: [row[each] for row in rows] for each in ROW}
    with pytest.raises(Refused) as refused:
        Decoder(model).json(json.dumps({form: rows if form == "instances" else columns}).encode())
    violation = refused.value.violation
    assert (violation.row, violation.column, violation.expected) == (1, name, wanted)


def test_a_table_with_a_day_out_of_range_is_refused_with_its_row(model: Model, table: pa.Table) -> None:
    other = table.set_column(5, "born", pa.array([date(1970, 1, 2), date(2031, 1, 1)]))
    with pytest.raises(DataContractError, match=r"column born: found .*2031.* in 1 row \(identifiers 2\)"):
        refuse_broken_columns(other, model, "train")


def test_the_document_of_the_server_says_these_types(model: Model) -> None:
    row = json.loads(openapi(model, "1", None))["components"]["schemas"]["Row"]["properties"]
    assert row["code"] == {"enum": ["1", "2", "30", 1, 2, 30]}
    assert row["maybe code"] == {"enum": ["1", "2", "other", 1, 2, None]}
    assert row["smokes"] == {"type": "boolean"}
    assert row["insured"] == {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    assert (row["born"]["type"], row["born"]["format"]) == ("string", "date")
    assert row["seen"]["anyOf"][0]["format"] == "date-time"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "minimum = 1900-01-01",
            'minimum = "1900-01-01"',
            r"feature\[4\]\.minimum.*a date without quotes, as 2026-11-28",
        ),
        ("minimum = 1900-01-01", "minimum = 1900-01-01T00:00:00Z", "a date without quotes"),
        ("minimum = 1900-01-01", "minimum = 2031-01-01", r"found '2031-01-01', expected at most 2030-12-31"),
        ("minimum = 1900-01-01", "minimum = 1500-01-01", "from 1685 to 2254"),
        (
            "minimum = 2000-01-01T00:00:00Z",
            "minimum = 2000-01-01",
            "a datetime without quotes, as 2026-11-28T12:00:00Z",
        ),
        ("values = [1, 2, 30]", "values = [1, 1]", "at least one text, each once"),
        ("values = [1, 2, 30]", 'values = [1, "2"]', "a list of texts"),
        ("values = [1, 2, 30]", "values = [true, false]", "a list of texts"),
    ],
)
def test_a_wrong_declaration_is_named(tmp_path: Path, before: str, after: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        declared(tmp_path, TOML.replace(before, after))


def test_words_and_rule_agree(model: Model) -> None:
    for feature in model.features:
        assert accepts(feature, ROW[feature.name])
        assert expected(feature)


def many(model: Model, count: int = 400) -> pa.Table:
    rng = np.random.default_rng(1)
    days, none = np.datetime64("1990-01-01") + rng.integers(0, 9000, count), rng.random(count) < 0.1
    columns = {
        "code": rng.choice([1, 2, 30], count),
        "maybe code": pa.array(rng.choice(["1", "2", "other"], count), mask=none),
        "smokes": rng.random(count) < 0.5,
        "insured": pa.array(rng.random(count) < 0.5, mask=none),
        "born": days,
        "seen": pa.array(days.astype("datetime64[us]"), mask=none),
        "price": rng.random(count),
    }
    return canonical_columns(pa.table(columns), "train")


def test_booleans_and_codes_are_walked(model: Model) -> None:
    rows = many(model)
    encode = ColumnTransformer(
        [
            ("hot", OneHotEncoder(), ["code", "maybe code", "smokes"]),
            ("scaled", StandardScaler(), ["smokes", "price"]),
            ("kept", "passthrough", ["insured"]),
        ],
        sparse_threshold=0,
    )
    frame = frame_of_table(rows, model)
    target = (frame["smokes"] ^ (frame["code"] == "30")).astype(int)
    trees = HistGradientBoostingClassifier(max_iter=5)
    facts, _ = choose(Pipeline([("encode", encode), ("last", trees)]).fit(frame, target), model, [rows])
    assert (facts["name"], facts["refused"]) == ("walker", {})
    linear = encode.set_params(kept="drop")
    facts, _ = choose(Pipeline([("encode", linear), ("last", LogisticRegression())]).fit(frame, target), model, [rows])
    assert facts["name"] == "walker"
