"""From which score on a model predicts the positive class, fitted on rows that the scoring model was not trained on.

The rows that a model was trained on get scores that no other row gets, so a threshold fitted on those would be wrong
for all others. The holdout is not asked either: it judges what the threshold does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lockgate.tasks.threshold import Threshold

FOLDS = 5
Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Scored = Callable[[npt.NDArray[np.intp], npt.NDArray[np.intp]], Scores]


def out_of_fold(labels: Labels, scored: Scored) -> Scores:
    """A score for every row, by a model of the other folds.

    scored(train, other): the scores of the rows at the places `other` by a model of those at `train`. Folds have the
    same share of positives, and are the same for the same labels.
    """
    scores, fold = np.empty(len(labels)), np.empty(len(labels), dtype=np.int64)
    order = np.random.default_rng(0)
    for label in (0, 1):
        places = np.flatnonzero(labels == label)
        fold[order.permutation(places)] = np.arange(len(places)) % FOLDS
    for each in range(FOLDS):
        other = np.flatnonzero(fold == each)
        if len(other):
            scores[other] = scored(np.flatnonzero(fold != each), other)
    return scores


def fitted(threshold: Threshold, labels: Labels, scores: Scores, costs: tuple[float, float]) -> float:
    """The threshold that predicts the stated share of these rows positive, or that costs least on them.

    costs: of a false positive and of a false negative. A threshold is in the middle between two scores, so that a score
    that differs in its last bit is still on the same side.
    """
    ordered = np.unique(scores)
    between = np.concatenate([[ordered[0] / 2], (ordered[1:] + ordered[:-1]) / 2, [(ordered[-1] + 1) / 2]])
    above = np.searchsorted(np.sort(scores), between, side="left")  # rows below each threshold
    if threshold.by == "positive_rate":
        rates = (len(scores) - above) / len(scores)
        return float(between[np.abs(rates - threshold.number).argmin()])
    positives, negatives = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    missed = np.searchsorted(positives, between, side="left")
    alarms = len(negatives) - np.searchsorted(negatives, between, side="left")
    return float(between[(costs[0] * alarms + costs[1] * missed).argmin()])
