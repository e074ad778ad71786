"""Evidence as version 0.1 wrote it, in the form of now: of one task, with groups counted by label and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lockgate.evidence.fields import count_in, number_in, object_in
from lockgate.tasks.target import binary

COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


def as_of_now(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with a target, and with rates as metrics. Raises EvidenceError for counts that are none."""
    groups = object_in(document, "groups")
    counted = {
        attribute: {value: object_in(object_in(groups, attribute), value) for value in object_in(groups, attribute)}
        for attribute in groups
    }
    champion = document.get("champion")
    whole = [list(values.values()) for values in counted.values()]
    return {
        **document,
        "target": binary("").as_dict(),
        "threshold": 0.5,
        "metrics": _hits(object_in(document, "metrics")) | (_rates(whole[0]) if whole else {}),
        "groups": {
            name: {value: group_as_of_now(group) for value, group in of.items()} for name, of in counted.items()
        },
        "champion": {**champion, "metrics": _hits(object_in(champion, "metrics"))}
        if isinstance(champion, dict)
        else champion,
    }


def group_as_of_now(group: Mapping[str, Any]) -> dict[str, Any]:
    rows = sum(count_in(group, key) for key in COUNTS)
    residual = {"sum": number_in(group, "residual"), "sum_of_squares": number_in(group, "residual_squares")}
    mean_error = {"mean_error": _metric(residual["sum"], rows, residual)} if rows else {}
    return {"rows": rows, "metrics": _hits(object_in(group, "metrics")) | _rates([group]) | mean_error}


def _rates(groups: list[dict[str, Any]] | list[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the rows of these groups together; a rate that no row counts for is absent."""
    tp, fp, fn, tn = (sum(count_in(group, key) for group in groups) for key in COUNTS)
    counts = {
        "positive_rate": (tp + fp, tp + fp + fn + tn),
        "true_positive_rate": (tp, tp + fn),
        "false_positive_rate": (fp, fp + tn),
        "precision": (tp, tp + fp),
    }
    return {name: _metric(hits, rows, {"hits": hits}) for name, (hits, rows) in counts.items() if rows}


def _metric(total: float, rows: int, statistics: Mapping[str, float]) -> dict[str, Any]:
    return {"value": total / rows, "rows": rows, "statistics": dict(statistics)}


def _hits(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """How many rows of an accuracy are right was called `correct`."""
    found = dict(metrics)
    accuracy = found.get("accuracy")
    statistics = accuracy.get("statistics") if isinstance(accuracy, dict) else None
    if isinstance(accuracy, dict) and isinstance(statistics, dict) and "correct" in statistics:
        kept = {key: value for key, value in statistics.items() if key != "correct"}
        found["accuracy"] = {**accuracy, "statistics": {**kept, "hits": statistics["correct"]}}
    return found
