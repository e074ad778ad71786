"""One of three or more classes: a model answers the probability of each, in the declared order."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate.configuration.table import Table
from lockgate.tasks.classes import LARGEST_LOG_LOSS, MOST_CLASSES, read_classes
from lockgate.tasks.composed import BalancedAccuracy, MacroF1
from lockgate.tasks.kinds import Mean, MetricKind, Rate, Scale
from lockgate.tasks.target import Target


def read(table: Table, name: str) -> Target:
    """`classes`: every value of the column, in the order in which probabilities are answered."""
    expected = f"3 to {MOST_CLASSES} different texts or integers, all of one type"
    return Target(name, "multiclass", read_classes(table, 3, MOST_CLASSES, expected), {})


def metrics(target: Target) -> Mapping[str, MetricKind]:
    found: dict[str, MetricKind] = {
        "accuracy": Rate(),
        "balanced_accuracy": BalancedAccuracy(counts="a row of each class", classes=len(target.classes)),
        "macro_f1": MacroF1(classes=len(target.classes)),
        "log_loss": Mean(Scale(0.0, LARGEST_LOG_LOSS, "lower")),
        "brier": Mean(Scale(0.0, 2.0, "lower")),
    }
    for each in target.classes:
        found |= {
            f"recall:{each}": Rate(counts=f"a row of class {each}"),
            f"precision:{each}": Rate(counts=f"a row predicted as {each}", of_labels=False),
            f"predicted_rate:{each}": Rate(Scale(0.0, 1.0, "neither"), "a row"),
        }
    return found


def measures(target: Target) -> Mapping[str, tuple[str, ...]]:
    """As of two classes, class by class: equal_opportunity compares how much of each class is found."""
    return {
        "equal_opportunity": tuple(f"recall:{each}" for each in target.classes),
        "demographic_parity": tuple(f"predicted_rate:{each}" for each in target.classes),
        "accuracy": ("accuracy",),
    }


def shown(target: Target) -> tuple[str, ...]:
    return ("accuracy", *(f"recall:{each}" for each in target.classes))
