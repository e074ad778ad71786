"""What predictions are worth against the truth, with the sums each number comes from, so that a gate can recompute it.

Arrays of one dimension and equal length; runtime/tasks makes the metrics of a task of these parts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lockgate.evidence.distribution import Bins
from lockgate.evidence.document import Metric

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Hits = npt.NDArray[np.bool_]


def histogram(predictions: Scores, bins: Bins) -> list[int]:
    """How many predictions are in each bin."""
    largest = predictions.max(axis=1) if predictions.ndim == 2 else predictions
    places = np.searchsorted(bins.bounds, largest, side="left")
    if predictions.ndim == 2:
        places = predictions.argmax(axis=1) * (len(bins.bounds) + 1) + places
    counts: list[int] = np.bincount(places, minlength=bins.size).tolist()
    return counts


def rate(hits: Hits) -> Metric | None:
    """The share of hits; None where no row counts."""
    return share(hits) if len(hits) else None


def share(hits: Hits) -> Metric:
    """The same of one row at least."""
    count = int(hits.sum())
    return Metric(count / len(hits), len(hits), {"hits": float(count)})


def mean(values: Scores) -> Metric:
    found = sums(values)
    return Metric(found["sum"] / len(values), len(values), found)


def sums(values: Scores) -> dict[str, float]:
    return {"sum": float(values.sum()), "sum_of_squares": float((values**2).sum())}


def discordant(hits: Hits, hits_before: Hits) -> dict[str, float]:
    """On how many rows only the challenger has a hit, and only the champion."""
    return {
        "only_challenger": float((hits & ~hits_before).sum()),
        "only_champion": float((hits_before & ~hits).sum()),
    }


def probability_loss(given: Scores) -> Scores:
    """-ln of the probability given to the true class; a certain and wrong one counts as 2**-52 and not as infinity."""
    losses: Scores = -np.log(np.clip(given, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps))
    return losses


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


def delong_sums(labels: Labels, scores: Scores, champion: Scores) -> dict[str, float]:
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


def _doubled_midranks(values: Scores) -> npt.NDArray[np.int64]:
    """Twice the rank of each value, ranks from 1, ties sharing the mean of theirs: doubled, so that it is whole."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[inverse]
