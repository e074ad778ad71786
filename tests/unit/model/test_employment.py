from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from lockgate.configuration.model import Model, read_model
from runtime import commit
from runtime.artifact import answers
from runtime.contract import refuse_broken_columns, refuse_broken_target
from runtime.frames import frame_of_table

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model() -> Model:
    return read_model(ROOT / "model" / "employment")


@pytest.mark.parametrize("year", ["train_data", "holdout_data"])
def test_both_years_keep_the_data_contract(model: Model, year: str) -> None:
    table = pq.read_table(ROOT / getattr(model, year))
    refuse_broken_columns(table, model, year)
    refuse_broken_target(table, model, year, every=True)


def test_the_contract_allows_no_value_that_no_year_has(model: Model) -> None:
    """A category nobody has ever had would pass unseen by training."""
    tables = [pq.read_table(ROOT / file) for file in (model.train_data, model.holdout_data)]
    for feature in model.features:
        if feature.type == "category":
            assert set(feature.values) == {
                value for table in tables for value in table[feature.name].unique().to_pylist()
            }


def test_protected_attributes_are_named(model: Model) -> None:
    assert model.protected == ("SEX", "RAC1P")


def test_trained_on_one_year_it_ranks_people_of_the_next(model: Model) -> None:
    train = pq.read_table(ROOT / model.train_data).slice(0, 10_000)
    holdout = pq.read_table(ROOT / model.holdout_data).slice(0, 10_000)
    target = train[model.target.name].to_pandas()
    estimator = commit.training_module(model).train(frame_of_table(train, model), target, model)
    scores = answers(estimator, frame_of_table(holdout, model), model)
    assert roc_auc_score(holdout[model.target.name].to_numpy(), scores) > 0.88
