"""One of two classes, as arrays: labels 0 and 1, of which 1 is the positive class, and scores from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lockgate.evidence.distribution import PROBABILITIES
from lockgate.evidence.document import Metric
from lockgate.tasks.target import Target
from runtime.metrics import Scores, delong_sums, discordant, mean, probability_loss, rate, roc_auc, share, sums
from runtime.tasks import classes
from runtime.tasks.arrays import ModelAnswers

if TYPE_CHECKING:
    import pyarrow as pa

Labels = npt.NDArray[np.int64]


def refusal(column: pa.ChunkedArray, target: Target, every: bool) -> str:
    """Both classes must also occur in a holdout, or no ranking can be measured."""
    return classes.refusal(column, target, every=True)


truth = classes.places


def unfit(predictions: Scores, target: Target) -> str:
    bad = int((~((predictions >= 0) & (predictions <= 1))).sum())  # NaN, and null which becomes NaN, compare false
    return f"found {bad} rows not from 0 to 1, expected finite probabilities" if bad else ""


def measure(labels: Labels, scores: Scores, target: Target, threshold: float | None) -> dict[str, Metric]:
    """A rate that no row counts for is absent; so is roc_auc where one label occurs only: there is nothing to rank."""
    positive, predicted = labels == 1, _predicted(scores, threshold)
    ranked = {"roc_auc": roc_auc(labels, scores)} if 0 < int(positive.sum()) < len(labels) else {}
    cost = {"cost": mean(_costs(labels, scores, target, threshold))} if target.numbers else {}
    rates = {
        "positive_rate": rate(predicted),
        "true_positive_rate": rate(predicted[positive]),
        "false_positive_rate": rate(predicted[~positive]),
        "precision": rate(positive[predicted]),
    }
    return {
        **ranked,
        "accuracy": share(predicted == positive),
        "log_loss": mean(_log_losses(labels, scores)),
        "brier": mean((scores - labels) ** 2),
        **cost,
        "mean_error": mean(scores - labels),
        **{name: found for name, found in rates.items() if found is not None},
    }


def paired(labels: Labels, own: ModelAnswers, before: ModelAnswers, target: Target) -> dict[str, Mapping[str, float]]:
    positive = labels == 1
    predicted, predicted_before = (_predicted(each.predictions, each.threshold) for each in (own, before))
    found: dict[str, Mapping[str, float]] = {
        "accuracy": discordant(predicted == positive, predicted_before == positive),
        "true_positive_rate": discordant(predicted[positive], predicted_before[positive]),
        "false_positive_rate": discordant(predicted[~positive], predicted_before[~positive]),
        "log_loss": sums(_log_losses(labels, own.predictions) - _log_losses(labels, before.predictions)),
        "brier": sums((own.predictions - labels) ** 2 - (before.predictions - labels) ** 2),
    }
    if target.numbers:
        costs = [_costs(labels, each.predictions, target, each.threshold) for each in (own, before)]
        found["cost"] = sums(costs[0] - costs[1])
    if min(positive.sum(), (~positive).sum()) > 1:
        found["roc_auc"] = delong_sums(labels, own.predictions, before.predictions)
    return found


def bounds(predictions: Scores) -> list[float]:
    return list(PROBABILITIES.bounds)


def _predicted(scores: Scores, threshold: float | None) -> npt.NDArray[np.bool_]:
    """A score at the threshold predicts the positive class."""
    predicted: npt.NDArray[np.bool_] = scores >= (0.5 if threshold is None else threshold)
    return predicted


def _log_losses(labels: Labels, scores: Scores) -> Scores:
    return probability_loss(np.where(labels == 1, scores, 1 - scores))


def _costs(labels: Labels, scores: Scores, target: Target, threshold: float | None) -> Scores:
    predicted = _predicted(scores, threshold)
    wrong_positive = np.where(predicted & (labels == 0), target.numbers["false_positive"], 0.0)
    found: Scores = np.where(~predicted & (labels == 1), target.numbers["false_negative"], wrong_positive)
    return found
