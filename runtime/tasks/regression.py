"""A number in a declared range, as arrays of float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lockgate.evidence.document import Metric
from lockgate.tasks.target import Target
from runtime.metrics import Scores, mean, sums
from runtime.tasks.arrays import ModelAnswers

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 20


def refusal(column: pa.ChunkedArray, target: Target, every: bool) -> str:
    low, high = target.numbers["minimum"], target.numbers["maximum"]
    import pyarrow as pa

    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return f"found {column.type}, expected numbers from {low:g} to {high:g}"
    values = truth(column, target)
    outside = values[~((values >= low) & (values <= high))]  # NaN, and null which becomes NaN, compare false
    if not len(outside):
        return ""
    shown = ", ".join(f"{value:g}" for value in np.unique(outside)[:5])
    return f"found {len(outside)} rows with {shown}, expected numbers from {low:g} to {high:g} in every row"


def truth(column: pa.ChunkedArray, target: Target) -> Scores:
    found: Scores = column.to_numpy().astype(np.float64)
    return found


def unfit(predictions: Scores, target: Target) -> str:
    low, high = target.numbers["minimum"], target.numbers["maximum"]
    bad = int((~((predictions >= low) & (predictions <= high))).sum())
    return f"found {bad} rows not from {low:g} to {high:g}, expected the range of the target" if bad else ""


def measure(truth: Scores, predictions: Scores, target: Target, threshold: float | None) -> dict[str, Metric]:
    errors = predictions - truth
    cap = target.numbers.get("cap")
    squared, around = sums(errors**2), sums((truth - truth.mean()) ** 2)
    rows = len(truth)
    target_sums = {"target_squares": around["sum"], "target_fourths": around["sum_of_squares"]}
    explained = {}
    if around["sum"] > 0:
        explained["r2"] = Metric(1 - squared["sum"] / around["sum"], rows, {**squared, **target_sums})
    return {
        "mae": mean(np.abs(errors)),
        **({"capped_error": mean(np.minimum(np.abs(errors), cap))} if cap else {}),
        "rmse": Metric(math.sqrt(squared["sum"] / rows), rows, squared),
        **explained,
        "mean_error": mean(errors),
    }


def paired(truth: Scores, own: ModelAnswers, before: ModelAnswers, target: Target) -> dict[str, Mapping[str, float]]:
    errors, errors_before = (np.abs(each.predictions - truth) for each in (own, before))
    cap = target.numbers.get("cap")
    capped = {"capped_error": sums(np.minimum(errors, cap) - np.minimum(errors_before, cap))} if cap else {}
    squared = sums(errors**2 - errors_before**2)
    return {"mae": sums(errors - errors_before), **capped, "rmse": squared, "r2": squared}


def bounds(predictions: Scores) -> list[float]:
    """About twentieths of these predictions. A bound lies between two of them, so that a last bit moves none."""
    distinct = np.unique(predictions)
    between = (distinct[1:] + distinct[:-1]) / 2
    quantiles = np.quantile(predictions, [place / BINS for place in range(1, BINS)])
    chosen = np.unique(np.searchsorted(between, quantiles))
    found: list[float] = between[chosen[chosen < len(between)]].tolist()
    return found or [float(distinct[-1]) + 1.0]
