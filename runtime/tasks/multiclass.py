"""One of three or more classes, as arrays: labels are places in the declared order, of which each has a probability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lockgate.evidence.document import Metric
from lockgate.tasks.target import Target
from runtime.metrics import Scores, discordant, mean, probability_loss, rate, share, sums
from runtime.tasks import classes
from runtime.tasks.arrays import ModelAnswers

Labels = npt.NDArray[np.int64]
MOST_OF_A_SUM = 1e-5  # how far probabilities of a row may be from 1 together: float32 adds up no better

refusal = classes.refusal
truth = classes.places


def unfit(predictions: Scores, target: Target) -> str:
    in_range = ((predictions >= 0) & (predictions <= 1)).all(axis=1)
    bad = int((~in_range | ~(np.abs(predictions.sum(axis=1) - 1) <= MOST_OF_A_SUM)).sum())
    return f"found {bad} rows that are no probabilities, expected each from 0 to 1 and 1 in sum" if bad else ""


def measure(labels: Labels, predictions: Scores, target: Target, threshold: float | None) -> dict[str, Metric]:
    """A rate that no row counts for is absent. The first of equal probabilities is predicted."""
    predicted = predictions.argmax(axis=1)
    right = predicted == labels
    found: dict[str, Metric | None] = {
        "accuracy": share(right),
        "log_loss": mean(_log_losses(labels, predictions)),
        "brier": mean(_squared_errors(labels, predictions)),
    }
    counts = _confusion(labels, predicted, len(target.classes))
    found |= {"balanced_accuracy": _balanced_accuracy(counts), "macro_f1": _macro_f1(counts)}
    for place, name in enumerate(target.classes):
        found |= {
            f"recall:{name}": rate(right[labels == place]),
            f"precision:{name}": rate(right[predicted == place]),
            f"predicted_rate:{name}": rate(predicted == place),
        }
    return {name: metric for name, metric in found.items() if metric is not None}


def paired(labels: Labels, own: ModelAnswers, before: ModelAnswers, target: Target) -> dict[str, Mapping[str, float]]:
    right, right_before = (each.predictions.argmax(axis=1) == labels for each in (own, before))
    found: dict[str, Mapping[str, float]] = {
        "accuracy": discordant(right, right_before),
        "log_loss": sums(_log_losses(labels, own.predictions) - _log_losses(labels, before.predictions)),
        "brier": sums(_squared_errors(labels, own.predictions) - _squared_errors(labels, before.predictions)),
    }
    balanced: dict[str, float] = {}
    for place, name in enumerate(target.classes):
        of_class = labels == place
        of_recall = discordant(right[of_class], right_before[of_class])
        balanced |= {f"{key}_{place}": count for key, count in of_recall.items()}
        if of_class.any():
            found[f"recall:{name}"] = of_recall
    influences = [_influences(labels, each.predictions.argmax(axis=1), len(target.classes)) for each in (own, before)]
    found["macro_f1"] = {"squares": float(((influences[0] - influences[1]) ** 2).sum())}
    return {**found, "balanced_accuracy": balanced}


def _confusion(labels: Labels, predicted: Labels, classes: int) -> Labels:
    """Labels x predictions: how many rows."""
    counts: Labels = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    return counts


def _balanced_accuracy(counts: Labels) -> Metric | None:
    """None where a class has no row, so that it has no recall."""
    hits, rows = counts.diagonal(), counts.sum(axis=1)
    if not rows.all():
        return None
    sums_of_classes = {f"hits_{place}": float(hit) for place, hit in enumerate(hits)}
    sums_of_classes |= {f"rows_{place}": float(row) for place, row in enumerate(rows)}
    return Metric(float((hits / rows).mean()), int(rows.sum()), sums_of_classes)


def _macro_f1(counts: Labels) -> Metric:
    """The F1 of a class that is neither a label nor predicted is 0."""
    hits = counts.diagonal()
    denominators = counts.sum(axis=0) + counts.sum(axis=1) - hits
    scores = 2 * hits / np.maximum(hits + denominators, 1)
    of_classes = {f"true_positives_{place}": float(hit) for place, hit in enumerate(hits)}
    of_classes |= {f"denominator_{place}": float(count) for place, count in enumerate(denominators)}
    return Metric(float(scores.mean()), int(counts.sum()), of_classes)


def _influences(labels: Labels, predicted: Labels, classes: int) -> Scores:
    """Of each row on macro F1 (lockgate.statistics.per_class.f1_difference says of what it is made)."""
    counts = _confusion(labels, predicted, classes)
    twice = (counts.sum(axis=0) + counts.sum(axis=1)).astype(np.float64)  # 2 TP + FP + FN
    inverse = np.divide(1.0, twice, out=np.zeros(classes), where=twice > 0)
    scores = 2 * counts.diagonal() * inverse
    right = 2 * (labels == predicted) * inverse[labels]
    apart = right - scores[labels] * inverse[labels] - scores[predicted] * inverse[predicted]
    found: Scores = apart * len(labels) / classes
    return found


def bounds(predictions: Scores) -> list[float]:
    """Of the probability of the class that is predicted."""
    return [place / 10 for place in range(1, 11)]


def _log_losses(labels: Labels, predictions: Scores) -> Scores:
    return probability_loss(predictions[np.arange(len(labels)), labels])


def _squared_errors(labels: Labels, predictions: Scores) -> Scores:
    """Brier's score of several classes, from 0 to 2 (Brier, Monthly Weather Review 78(1), 1950)."""
    apart = predictions.copy()
    apart[np.arange(len(labels)), labels] -= 1
    found: Scores = (apart**2).sum(axis=1)
    return found
