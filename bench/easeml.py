"""Rows that ease.ml/ci asks for: Renggli et al., "Continuous integration of machine learning models with ease.ml/ci:
towards a rigorous yet practical treatment", MLSys 2019, section 3, written from the paper's formulas."""

from __future__ import annotations

from math import ceil, log, log1p
from typing import Literal

Adaptivity = Literal["none", "full"]


def rows(variables: int, tolerance: float, reliability: float, steps: int, adaptivity: Adaptivity) -> int:
    """Hoeffding's rows for a condition on a sum of `variables` accuracies (n, or n - o) within a tolerance.

    Tolerance and error probability are divided evenly over the variables. The error probability is divided by the
    number of steps without adaptivity, by 2^steps with it.
    """
    log_paths = log(steps) if adaptivity == "none" else steps * log(2)
    needed = log(variables / (1 - reliability)) + log_paths
    return ceil(round(needed / (2 * (tolerance / variables) ** 2), 6))


def rows_assuming_disagreement(
    disagreement: float, tolerance: float, reliability: float, steps: int, adaptivity: Adaptivity
) -> int:
    """Bennett's rows for n - o where the models are assumed to disagree on at most `disagreement` of the rows.

    The paper's section 4; half the error probability is left for the test of that assumption.
    """
    log_paths = log(steps) if adaptivity == "none" else steps * log(2)
    ratio = tolerance / disagreement
    rate = disagreement * ((1 + ratio) * log1p(ratio) - ratio)
    return ceil((log(2 / (1 - reliability)) + log_paths) / rate)
