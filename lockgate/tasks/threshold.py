"""From which score on a model of two classes predicts the positive one, as model.toml says it: a number, or how to fit
one. A fitted threshold is found on scores of rows that the scoring model was not trained on, never on the holdout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.tasks.target import BINARY, Target

WAYS = ("value", "positive_rate", "fit")


@dataclass(frozen=True)
class Threshold:
    """by: "value", the threshold itself; "positive_rate", the share of rows to predict positive; "cost", as little cost
    as possible by the target's costs, where `number` says nothing."""

    by: Literal["value", "positive_rate", "cost"] = "value"
    number: float = 0.5


def read_threshold(table: Table, target: Target) -> Threshold | None:
    """[threshold] of model.toml; 0.5 where there is none, and None for a task without one. Raises ConfigError."""
    if not table.has("threshold"):
        return Threshold() if target.task == BINARY else None
    said = table.table("threshold")
    if target.task != BINARY:
        raise ConfigError(table.file, "threshold", dict(said.data), f"none: a {target.task} model has no threshold")
    given = [way for way in WAYS if said.has(way)]
    if len(given) != 1:
        raise ConfigError(table.file, "threshold", given, f"one of {', '.join(WAYS)}")
    way = given[0]
    if way == "fit":
        said.choice("fit", ("cost",))
        if not target.numbers:
            raise ConfigError(table.file, "threshold.fit", "cost", "costs of the target, as [target.costs] states them")
        found = Threshold("cost", 0.0)
    else:
        number = said.number(way)
        if not 0 < number < 1:
            raise ConfigError(table.file, f"threshold.{way}", number, "a number above 0 and below 1")
        found = Threshold("value" if way == "value" else "positive_rate", number)
    said.finish()
    return found
