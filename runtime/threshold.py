"""From which score on a model predicts the positive class, fitted on rows that the scoring model was not trained on.

The rows that a model was trained on get scores that no other row gets, so a threshold fitted on those would be wrong
for all others. The holdout is not asked either: it judges what the threshold does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lockgate.tasks.threshold import Threshold
from runtime.folds import Fold

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Scored = Callable[[npt.NDArray[np.intp], npt.NDArray[np.intp]], Scores]


def fitted_out_of_fold(
    threshold: Threshold, labels: Labels, folds: Sequence[Fold], scored: Scored, costs: tuple[float, float]
) -> float:
    """The threshold that `fitted` gives for the rows of all folds, each scored by the model of its fold.

    scored(train, other): the scores of the rows at the places `other` by a model of those at `train`.
    """
    scores = np.concatenate([scored(train, other) for train, other in folds])
    return fitted(threshold, labels[np.concatenate([other for _, other in folds])], scores, costs)


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
