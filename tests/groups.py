"""Groups of a binary model for tests, from counts by label and prediction."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate.evidence import evidence_0_1
from lockgate.evidence.document import Group, Metric, metrics_in


def counted(
    true_positives: int,
    false_positives: int,
    false_negatives: int,
    true_negatives: int,
    residual: float = 0.0,
    residual_squares: float = 0.0,
    metrics: Mapping[str, Metric] | None = None,
) -> Group:
    """With every rate that its rows have, and whatever other metrics a test names."""
    counts = dict(
        zip(evidence_0_1.COUNTS, (true_positives, false_positives, false_negatives, true_negatives), strict=True)
    )
    said = {**counts, "residual": residual, "residual_squares": residual_squares, "metrics": {}}
    group = evidence_0_1.group_as_of_now(said)
    return Group(group["rows"], {**metrics_in(group["metrics"]), **(metrics or {})})
