"""What scores are worth against labels, with the sums each number comes from, so that a gate can recompute it.

Arrays of one dimension and equal length: labels 0 or 1 (both occur), scores from 0 to 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lockgate.evidence import Metric

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

THRESHOLD = 0.5  # a score at the threshold predicts 1


def measure(labels: Labels, scores: Scores) -> dict[str, Metric]:
    return {
        "roc_auc": roc_auc(labels, scores),
        "accuracy": accuracy(labels, scores),
        "log_loss": log_loss(labels, scores),
        "brier": brier(labels, scores),
    }


def roc_auc(labels: Labels, scores: Scores) -> Metric:
    """Probability that a random positive scores above a random negative, a tie counting half.

    The value is exact (integers until one division). `variance` is DeLong's (DeLong, DeLong, Clarke-Pearson 1988), by
    mid-ranks (Sun, Xu 2014); absent when a class has one row only.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    ranks = _doubled_midranks(np.concatenate([positive, negative]))
    wins = int(ranks[:m].sum()) - m * (m + 1)  # twice the Mann-Whitney statistic
    statistics = {"positives": float(m), "negatives": float(n)}
    if min(m, n) > 1:
        of_positives = (ranks[:m] - _doubled_midranks(positive)) / (2 * n)
        of_negatives = 1 - (ranks[m:] - _doubled_midranks(negative)) / (2 * m)
        statistics["variance"] = float(of_positives.var(ddof=1) / m + of_negatives.var(ddof=1) / n)
    return Metric(wins / (2 * m * n), m + n, statistics)


def accuracy(labels: Labels, scores: Scores) -> Metric:
    """Share of rows whose score is on the label's side of the threshold."""
    correct = int(((scores >= THRESHOLD) == (labels == 1)).sum())
    return Metric(correct / len(labels), len(labels), {"correct": float(correct)})


def log_loss(labels: Labels, scores: Scores) -> Metric:
    """Mean of -ln(probability given to the label); a certain and wrong score counts as 2**-52 and not as infinity."""
    given = np.where(labels == 1, scores, 1 - scores)
    return _mean(-np.log(np.clip(given, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)))


def brier(labels: Labels, scores: Scores) -> Metric:
    """Mean squared difference of score and label."""
    return _mean((scores - labels) ** 2)


def _mean(losses: Scores) -> Metric:
    total = float(losses.sum())
    return Metric(total / len(losses), len(losses), {"sum": total, "sum_of_squares": float((losses**2).sum())})


def _doubled_midranks(values: Scores) -> npt.NDArray[np.int64]:
    """Twice the rank of each value, ranks from 1, ties sharing the mean of theirs: doubled, so that it is whole."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[inverse]
