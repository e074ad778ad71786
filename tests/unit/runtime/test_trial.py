"""Cross-validation of a recipe, its sample, and rows at the contract's edges."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lockgate.configuration.model import Feature, Model
from lockgate.errors import ConfigError
from lockgate.tasks.target import binary
from runtime.folds import folds_of
from runtime.trial.cross_validation import cross_validated, rows_that_fit
from runtime.trial.edges import edge_rows, edge_values
from runtime.trial.sample import sampled

MODEL = Model(
    name="a",
    description="",
    identifier="id",
    target=binary("y"),
    protected=(),
    features=(
        Feature("n", "integer", minimum=0, maximum=10_000),
        Feature("c", "category", values=("x", "y"), null_share=0.5),
    ),
    parameters={},
    train_data="",
    holdout_data="",
)


def table(rows: int) -> pa.Table:
    places = np.arange(rows)
    return pa.table({"id": places, "n": places, "c": ["x"] * rows, "y": (places % 10 == 0).astype(np.int64)})


class Remembers:
    """Says of each row whether its model saw it."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.seen = set(rows["n"])

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        seen = np.array([float(each in self.seen) for each in rows["n"]])
        return np.column_stack([1 - seen, seen])


def test_every_row_is_predicted_once_and_by_a_model_that_did_not_see_it() -> None:
    found = cross_validated(table(103), MODEL, lambda rows, target, model: Remembers(rows), folds_of(table(103), MODEL))
    assert sorted(found.places) == list(range(103))
    assert not found.predictions.any()


def test_predictions_that_are_none_are_refused() -> None:
    class Wrong(Remembers):
        def predict_proba(self, rows: pd.DataFrame) -> Any:
            return np.full((len(rows), 2), 2.0)

    with pytest.raises(ConfigError, match=r"model/a/train.py: train: found.*not from 0 to 1"):
        cross_validated(table(50), MODEL, lambda rows, target, model: Wrong(rows), folds_of(table(50), MODEL))


def test_a_sample_is_the_same_each_time_and_no_row_is_there_twice() -> None:
    assert len(set(sampled(table(500), MODEL, 100))) == 100
    assert (sampled(table(500), MODEL, 100) == sampled(table(500), MODEL, 100)).all()
    assert list(sampled(table(50), MODEL, 100)) == list(range(50))


def test_rows_of_one_entity_are_all_in_a_sample_or_none_of_them_is() -> None:
    rows = table(500).append_column("who", pa.array(np.arange(500) // 5))
    found = sampled(rows, replace(MODEL, entity="who"), 100)
    assert 100 <= len(found) <= 105
    assert set(np.unique(found // 5, return_counts=True)[1]) == {5}


@pytest.mark.parametrize(("power", "rows"), [(0.5, 40_000), (1, 40_000), (2, 8_944)])
def test_fewer_rows_fit_where_time_grows_faster(monkeypatch: pytest.MonkeyPatch, power: float, rows: int) -> None:
    """A fit to 2,000 rows takes 0.1 s, ten take 20 s with twenty times the time for each."""
    clock = [0.0]
    monkeypatch.setattr("runtime.trial.cross_validation.time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def train(rows: Any, target: Any, model: Model) -> None:
        clock[0] += 0.1 * (len(rows) / 2000) ** power

    assert abs(rows_that_fit(table(100_000), MODEL, train, fits=10, seconds=20) - rows) <= 1


def test_few_rows_are_all_tried() -> None:
    assert rows_that_fit(table(300), MODEL, Remembers, fits=10, seconds=0.0) == 300


def test_edges_are_both_limits_each_category_and_null_where_it_may_be() -> None:
    assert [edge_values(feature) for feature in MODEL.features] == [[0, 10_000], ["x", "y", None]]
    rows = edge_rows({"n": 5, "c": "x"}, MODEL)
    assert rows[0][1] == {"n": 0, "c": "x"}
    assert rows[1][1] == {"n": 10_000, "c": None}
    assert ("n 10000", {"n": 10_000, "c": "x"}) in rows and ("c null", {"n": 5, "c": None}) in rows
