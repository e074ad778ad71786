"""Rows that measure a model have helped to fit it in no way: not themselves, not their entity, not their future."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.configuration.model import Feature, Model
from lockgate.errors import DataContractError
from lockgate.tasks.target import binary
from runtime.contract import refuse_broken_order
from runtime.folds import FOLDS, folds, folds_of

RNG = np.random.default_rng(5)
MODEL = Model("m", "", "id", binary("y"), (), (Feature("x", "integer", minimum=0, maximum=9),), {}, "train", "holdout")
LABELS = (RNG.random(2000) < 0.2).astype(np.int64)


def test_every_row_is_measured_once_and_folds_have_the_same_share_of_a_class() -> None:
    found = folds(LABELS)
    assert len(found) == FOLDS
    for train, other in found:
        assert not set(train) & set(other)
        assert len(train) + len(other) == len(LABELS)
        assert abs(LABELS[other].mean() - LABELS.mean()) < 0.005
    assert sorted(np.concatenate([other for _, other in found])) == list(range(len(LABELS)))


def test_neighbours_in_the_file_lie_in_different_folds() -> None:
    _, other = folds(np.zeros(1000, dtype=np.int64))[0]
    assert not (np.diff(other) == FOLDS).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 9)), min_size=2, max_size=60))
def test_no_fold_is_fitted_on_an_entity_or_a_time_that_it_measures(rows: list[tuple[int, int, int]]) -> None:
    strata, entities, times = (np.array(each) for each in zip(*rows, strict=True))
    of_entities, in_time, of_both = folds(strata, entities), folds(strata, None, times), folds(strata, entities, times)
    assert sorted(np.concatenate([other for _, other in of_entities])) == list(range(len(rows)))
    for train, other in (*of_entities, *of_both):
        assert not set(entities[train]) & set(entities[other])
    for train, other in (*in_time, *of_both):
        assert not len(train) or times[train].max() < times[other].min()
    measured = np.concatenate([[], *(other for _, other in in_time)])
    assert len(set(measured)) == len(measured)
    assert len(in_time) >= min(len(set(times.tolist())) - 1, 1)


def test_entities_of_very_different_size_leave_no_fold_empty() -> None:
    entities = np.repeat(np.arange(20), RNG.permutation(np.arange(1, 21) ** 2))
    sizes = [len(other) for _, other in folds(np.zeros(len(entities), dtype=np.int64), entities)]
    assert len(sizes) == FOLDS
    assert max(sizes) < 2 * min(sizes)


def test_each_fold_in_time_is_fitted_on_all_that_is_earlier() -> None:
    found = folds(np.zeros(600, dtype=np.int64), None, np.arange(600))
    assert [(len(train), len(other)) for train, other in found] == [(100 * each, 100) for each in range(1, 6)]


def _table(**columns: Any) -> pa.Table:
    return pa.table({"id": range(6), "y": [0, 1] * 3, **columns})


@pytest.mark.parametrize("key", ["entity", "time"])
def test_one_value_everywhere_cannot_be_kept_apart(key: str) -> None:
    model = replace(MODEL, **{key: "shop"})
    with pytest.raises(DataContractError, match="column shop: found one value in all 6 rows"):
        folds_of(_table(shop=["a"] * 6), model)
    assert folds_of(_table(shop=["a", "b"] * 3), model)


@pytest.mark.parametrize("key", ["entity", "time"])
def test_a_row_without_entity_or_time_breaks_the_contract(key: str) -> None:
    model = replace(MODEL, **{key: "shop"})
    with pytest.raises(
        DataContractError, match=f"train: column shop: found null in 1 row .*expected the {key} of every"
    ):
        refuse_broken_order(_table(shop=["a", None, *"bcde"]), model, "train")
    with pytest.raises(DataContractError, match=f"train: column shop: found no such column, expected the {key}"):
        refuse_broken_order(_table(), model, "train")
