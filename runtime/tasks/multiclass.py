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
    for place, name in enumerate(target.classes):
        of_class = labels == place
        if of_class.any():
            found[f"recall:{name}"] = discordant(right[of_class], right_before[of_class])
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
