"""A number in a declared range, which is also the range of what a model answers."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.tasks.composed import Determination, RootMeanSquare
from lockgate.tasks.kinds import Mean, MetricKind, Scale
from lockgate.tasks.target import Target


def read(table: Table, name: str) -> Target:
    """`minimum`, `maximum`: of the column. `cap`: an error counts as no more than this in `capped_error`."""
    numbers = {"minimum": table.number("minimum"), "maximum": table.number("maximum")}
    width = numbers["maximum"] - numbers["minimum"]
    if width <= 0:
        raise ConfigError(table.file, table.key("maximum"), numbers["maximum"], f"more than {numbers['minimum']:g}")
    cap = table.optional_number("cap")
    if cap is not None:
        if not 0 < cap <= width:
            raise ConfigError(
                table.file, table.key("cap"), cap, f"more than 0 and at most {width:g}, the range's width"
            )
        numbers["cap"] = cap
    return Target(name, "regression", (), numbers)


def metrics(target: Target) -> Mapping[str, MetricKind]:
    """Errors lie within the width of the range, since the column and the answers both lie in it."""
    width = target.unit
    cap = target.numbers.get("cap")
    capped = {"capped_error": Mean(Scale(0.0, cap, "lower"))} if cap else {}
    return {
        "mae": Mean(Scale(0.0, width, "lower")),
        **capped,
        "rmse": RootMeanSquare(Scale(0.0, width, "lower")),
        "r2": Determination(Scale(-inf, 1.0, "higher"), "rows of more than one value", width),
        "mean_error": Mean(Scale(-width, width, "neither")),
    }


def measures(target: Target) -> Mapping[str, tuple[str, ...]]:
    """bias: how far the means of prediction - target of two groups are apart. error: how far their mean errors are."""
    return {"bias": ("mean_error",), "error": ("mae",)}


def shown(target: Target) -> tuple[str, ...]:
    return ("mean_error", "mae")
