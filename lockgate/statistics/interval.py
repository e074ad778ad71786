"""An interval and how far it can be trusted."""

from __future__ import annotations

from typing import Literal, NamedTuple

Guarantee = Literal["exact", "finite-sample", "asymptotic"]


class Interval(NamedTuple):
    """Each end is wrong with probability at most the `alpha` it was made with.

    `exact` and `finite-sample` hold at every number of rows; `exact` ones come from the distribution itself,
    `finite-sample` ones from an inequality. `asymptotic` ones hold only as the rows grow, and a reason must say so.
    """

    low: float
    high: float
    guarantee: Guarantee
