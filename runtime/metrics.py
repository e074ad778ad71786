"""What scores are worth against labels, with the sums each number comes from, so that a gate can recompute it.

Arrays of one dimension and equal length, one row at least: labels 0 or 1, scores from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lockgate.evidence.distribution import BOUNDS
from lockgate.evidence.document import Champion, Group, Metric

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

THRESHOLD = 0.5  # a score at the threshold predicts 1


def measure(labels: Labels, scores: Scores) -> dict[str, Metric]:
    """Every metric that these rows have: with one label only there is nothing to rank, so no ROC AUC."""
    ranked = {"roc_auc": roc_auc(labels, scores)} if 0 < int(labels.sum()) < len(labels) else {}
    return {
        **ranked,
        "accuracy": accuracy(labels, scores),
        "log_loss": log_loss(labels, scores),
        "brier": brier(labels, scores),
    }


def histogram(scores: Scores) -> list[int]:
    """How many scores are in each bin of lockgate.evidence.distribution, and, last, how many are greater than 1."""
    counts: list[int] = np.bincount(np.searchsorted(BOUNDS, scores, side="left"), minlength=len(BOUNDS) + 1).tolist()
    return counts


def by_group(labels: Labels, scores: Scores, values: npt.NDArray[np.object_]) -> dict[str, Group]:
    """For each value of an attribute (texts), what its rows say."""
    return {str(value): _group(labels[values == value], scores[values == value]) for value in np.unique(values)}


def against(labels: Labels, scores: Scores, champion: Scores, model_sha256: str) -> Champion:
    """The champion on the same rows, and the sums of both together that a paired comparison needs."""
    right, right_before = _correct(labels, scores), _correct(labels, champion)
    paired: dict[str, Mapping[str, float]] = {
        "accuracy": {
            "only_challenger": float((right & ~right_before).sum()),
            "only_champion": float((right_before & ~right).sum()),
        },
        "log_loss": _sums(_log_losses(labels, scores) - _log_losses(labels, champion)),
        "brier": _sums(_squared_errors(labels, scores) - _squared_errors(labels, champion)),
    }
    if min((labels == 1).sum(), (labels == 0).sum()) > 1:
        paired["roc_auc"] = _delong(labels, scores, champion)
    return Champion(model_sha256, measure(labels, champion), paired)


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
        of_positives, of_negatives = _placements(labels, scores)
        statistics["variance"] = float(of_positives.var(ddof=1) / m + of_negatives.var(ddof=1) / n)
    return Metric(wins / (2 * m * n), m + n, statistics)


def accuracy(labels: Labels, scores: Scores) -> Metric:
    """Share of rows whose score is on the label's side of the threshold."""
    correct = int(_correct(labels, scores).sum())
    return Metric(correct / len(labels), len(labels), {"correct": float(correct)})


def log_loss(labels: Labels, scores: Scores) -> Metric:
    """Mean of -ln(probability given to the label); a certain and wrong score counts as 2**-52 and not as infinity."""
    return _mean(_log_losses(labels, scores))


def brier(labels: Labels, scores: Scores) -> Metric:
    """Mean squared difference of score and label."""
    return _mean(_squared_errors(labels, scores))


def _correct(labels: Labels, scores: Scores) -> npt.NDArray[np.bool_]:
    correct: npt.NDArray[np.bool_] = (scores >= THRESHOLD) == (labels == 1)
    return correct


def _log_losses(labels: Labels, scores: Scores) -> Scores:
    given = np.where(labels == 1, scores, 1 - scores)
    losses: Scores = -np.log(np.clip(given, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps))
    return losses


def _squared_errors(labels: Labels, scores: Scores) -> Scores:
    return (scores - labels) ** 2


def _group(labels: Labels, scores: Scores) -> Group:
    predicted, actual = scores >= THRESHOLD, labels == 1
    residual = scores - labels
    return Group(
        true_positives=int((predicted & actual).sum()),
        false_positives=int((predicted & ~actual).sum()),
        false_negatives=int((~predicted & actual).sum()),
        true_negatives=int((~predicted & ~actual).sum()),
        residual=float(residual.sum()),
        residual_squares=float((residual**2).sum()),
        metrics=measure(labels, scores),
    )


def _delong(labels: Labels, scores: Scores, champion: Scores) -> dict[str, float]:
    """Variances and covariance of two correlated areas (DeLong, DeLong, Clarke-Pearson 1988, equation 5)."""
    (positives, negatives), (positives_before, negatives_before) = (
        _placements(labels, found) for found in (scores, champion)
    )
    m, n = len(positives), len(negatives)
    covariance = np.cov(positives, positives_before) / m + np.cov(negatives, negatives_before) / n
    return {
        "variance_challenger": float(covariance[0, 0]),
        "variance_champion": float(covariance[1, 1]),
        "covariance": float(covariance[0, 1]),
    }


def _placements(labels: Labels, scores: Scores) -> tuple[Scores, Scores]:
    """For each positive the share of negatives below it, for each negative the share of positives above it."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    ranks = _doubled_midranks(np.concatenate([positive, negative]))
    of_positives: Scores = (ranks[:m] - _doubled_midranks(positive)) / (2 * n)
    of_negatives: Scores = 1 - (ranks[m:] - _doubled_midranks(negative)) / (2 * m)
    return of_positives, of_negatives


def _mean(losses: Scores) -> Metric:
    sums = _sums(losses)
    return Metric(sums["sum"] / len(losses), len(losses), sums)


def _sums(values: Scores) -> dict[str, float]:
    return {"sum": float(values.sum()), "sum_of_squares": float((values**2).sum())}


def _doubled_midranks(values: Scores) -> npt.NDArray[np.int64]:
    """Twice the rank of each value, ranks from 1, ties sharing the mean of theirs: doubled, so that it is whole."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[inverse]
