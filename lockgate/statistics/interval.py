"""An interval and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Guarantee = Literal["exact", "finite-sample", "asymptotic"]


@dataclass(frozen=True)
class Interval:
    """Each end is wrong with probability at most the `alpha` it was made with.

    `exact` and `finite-sample` hold at every number of rows; `exact` ones come from the distribution itself,
    `finite-sample` ones from an inequality. `asymptotic` ones hold only as the rows grow, and a reason must say so.
    """

    low: float
    high: float
    guarantee: Guarantee
