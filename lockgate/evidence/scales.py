"""What each number that evidence holds can be: its range, and in which direction it is better.

A bound of a policy is checked against this at synth, and a number of the evidence before a rule believes it.
"""

from __future__ import annotations

from math import log
from typing import Literal, NamedTuple

Better = Literal["higher", "lower", "neither"]


class Scale(NamedTuple):
    """The smallest and the largest value that a number can have, and which of them is good.

    better: "neither" where the policy may want either, as of the share of rows that are predicted positive.
    """

    lowest: float
    highest: float
    better: Better


# The evaluator counts a certain and wrong score as 2**-52, so no row's log loss is larger.
METRICS: dict[str, Scale] = {
    "roc_auc": Scale(0.0, 1.0, "higher"),
    "accuracy": Scale(0.0, 1.0, "higher"),
    "log_loss": Scale(0.0, 52 * log(2), "lower"),
    "brier": Scale(0.0, 1.0, "lower"),
}
RATES: dict[str, Scale] = {
    "positive_rate": Scale(0.0, 1.0, "neither"),
    "true_positive_rate": Scale(0.0, 1.0, "higher"),
    "false_positive_rate": Scale(0.0, 1.0, "lower"),
    "precision": Scale(0.0, 1.0, "higher"),
}
