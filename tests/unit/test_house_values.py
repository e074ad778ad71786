"""What a decision is made of cannot be changed after it was made."""

from __future__ import annotations

from dataclasses import is_dataclass
from types import ModuleType

import pytest

from lockgate.evidence import measurement
from lockgate.gate import holdout, readings, verdict, waiver
from lockgate.policy import rules
from lockgate.statistics import budget


@pytest.mark.parametrize(
    "module", [readings, holdout, measurement, rules, verdict, waiver, budget], ids=lambda each: each.__name__
)
def test_every_value_of_a_decision_is_frozen(module: ModuleType) -> None:
    classes = [found for found in vars(module).values() if isinstance(found, type) and is_dataclass(found)]
    assert [found.__name__ for found in classes if found.__setattr__ is object.__setattr__] == []
