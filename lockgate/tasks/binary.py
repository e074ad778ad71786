"""One of two classes: a model answers the probability of the second one, the positive class."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.tasks.classes import LARGEST_LOG_LOSS, read_classes
from lockgate.tasks.kinds import Area, Mean, MetricKind, Rate, Scale
from lockgate.tasks.target import BINARY, Target

COSTS = ("false_positive", "false_negative")


def read(table: Table, name: str) -> Target:
    """`classes`: the negative and the positive one. `costs`: what each kind of error costs, if the policy asks."""
    classes = read_classes(table, 2, 2, "two different texts, integers or truth values: the negative one, the positive")
    numbers = {}
    if table.has("costs"):
        costs = table.table("costs")
        numbers = {key: costs.number(key) for key in COSTS}
        costs.finish()
        if min(numbers.values()) < 0 or not max(numbers.values()):
            raise ConfigError(table.file, table.key("costs"), dict(costs.data), "costs of 0 or more, not both 0")
    return Target(name, BINARY, classes, numbers)


def metrics(target: Target) -> Mapping[str, MetricKind]:
    cost = {"cost": Mean(Scale(0.0, max(target.numbers.values()), "lower"))} if target.numbers else {}
    return {
        "roc_auc": Area(counts="rows of both labels"),
        "accuracy": Rate(),
        "log_loss": Mean(Scale(0.0, LARGEST_LOG_LOSS, "lower")),
        "brier": Mean(Scale(0.0, 1.0, "lower")),
        **cost,
        "mean_error": Mean(Scale(-1.0, 1.0, "neither")),
        "positive_rate": Rate(Scale(0.0, 1.0, "neither"), "a row"),
        "true_positive_rate": Rate(counts="a row with label 1"),
        "false_positive_rate": Rate(Scale(0.0, 1.0, "lower"), "a row with label 0"),
        "precision": Rate(counts="a row predicted as 1", of_labels=False),
    }


def measures(target: Target) -> Mapping[str, tuple[str, ...]]:
    """Hardt, Price, Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016, and what it compares with.

    calibration: how far the means of score - label of two groups are apart.
    """
    return {
        "equal_opportunity": ("true_positive_rate",),
        "equalised_odds": ("true_positive_rate", "false_positive_rate"),
        "demographic_parity": ("positive_rate",),
        "calibration": ("mean_error",),
    }


def shown(target: Target) -> tuple[str, ...]:
    return ("positive_rate", "true_positive_rate", "false_positive_rate")
