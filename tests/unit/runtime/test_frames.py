from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lockgate.configuration.model import Feature, Model
from runtime.archive import read_archive
from runtime.frames import codes_of_table, frame_of_codes, frame_of_instances, frame_of_table
from runtime.serving.rows import Refused

ROOT = Path(__file__).parents[3]
FEATURES = (
    Feature("colour", "category", values=("red", "green", "blue")),
    Feature("size", "category", values=("s", "m"), null_share=0.5),
    Feature("age", "integer", minimum=0, maximum=99),
    Feature("rooms", "integer", minimum=0, maximum=9, null_share=0.5),
    Feature("income", "number", minimum=0, maximum=1e6, null_share=0.5),
)
MODEL = Model("toy", "", "id", "target", (), FEATURES, {}, "", "")
ROWS: list[dict[str, Any]] = [
    {"colour": "blue", "size": "m", "age": 33, "rooms": 4, "income": 0.5},
    {"colour": "red", "size": None, "age": 34, "rooms": None, "income": None},
]
TABLE = pa.Table.from_pylist(ROWS)


def test_columns_are_named_and_typed_as_declared() -> None:
    frame = frame_of_table(TABLE, MODEL)
    assert list(frame.columns) == ["colour", "size", "age", "rooms", "income"]
    assert list(frame["colour"].cat.categories) == ["red", "green", "blue"], "also the one that no row has"
    assert frame["colour"].tolist() == ["blue", "red"]
    assert frame["size"].isna().tolist() == [False, True]
    assert [str(frame[name].dtype) for name in ("age", "rooms", "income")] == ["int64", "float64", "float64"]
    assert frame["rooms"].tolist()[0] == 4.0 and np.isnan(frame["rooms"].tolist()[1])


def test_the_declaration_decides_types_and_not_the_rows() -> None:
    full = frame_of_table(TABLE.slice(0, 1), MODEL)
    assert (full.dtypes == frame_of_table(TABLE, MODEL).dtypes).all()
    whole = TABLE.set_column(2, "age", pa.array([33.0, 34.0]))
    pd.testing.assert_frame_equal(frame_of_table(whole, MODEL), frame_of_table(TABLE, MODEL))


def test_the_server_makes_the_frame_that_training_had() -> None:
    trained = frame_of_table(TABLE, MODEL)
    pd.testing.assert_frame_equal(frame_of_codes(codes_of_table(TABLE, MODEL), MODEL), trained)
    pd.testing.assert_frame_equal(frame_of_instances(json.loads(json.dumps(ROWS)), MODEL), trained)


def test_rows_that_break_the_contract_become_no_frame() -> None:
    with pytest.raises(Refused):
        frame_of_instances([{**ROWS[0], "colour": "mauve"}], MODEL)


def test_no_value_becomes_a_python_object() -> None:
    frame = frame_of_table(TABLE, MODEL)
    assert not [name for name, kind in frame.dtypes.items() if str(kind) in ("object", "str")]
    assert frame["colour"].cat.codes.dtype == np.int8


def test_a_server_that_walks_imports_neither_pandas_nor_scikit_learn(run: Any, model: Model, tmp_path: Path) -> None:
    for name, content in read_archive(run.archive.read_bytes()).items():
        (tmp_path / name).write_bytes(content)
    program = """
import sys
from pathlib import Path
from runtime import commit
from runtime.serving import model_data, server, application
files = {each.name: each.read_bytes() for each in Path(sys.argv[1]).iterdir()}
model_data.engine_of(files, commit.declared_model("employment")).predict(bytes(8 * 16), 1)
print(sorted({"numpy", "pandas", "pyarrow", "sklearn"} & set(sys.modules)))
"""
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout == "[]\n"
