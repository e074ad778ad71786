"""A row for whoever tries a service keeps to the data contract, whatever the types of its columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.configuration.model import read_model
from lockgate.release.request import example_row
from runtime.contract import first_violation

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("folder", ["examples/species", "examples/prices", "examples/refunds", "model/employment"])
def test_an_example_row_keeps_to_the_contract(folder: str) -> None:
    model = read_model(ROOT / folder)
    row = example_row(model)
    assert list(row) == [feature.name for feature in model.features]
    assert first_violation([row], model) is None
