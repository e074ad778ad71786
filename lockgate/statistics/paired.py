"""Is the challenger more often right than the champion, on the same rows? Bounds on the difference, from counts."""

from __future__ import annotations

from lockgate.statistics import binomial
from lockgate.statistics.interval import Interval

_SHARE_FOR_DISAGREEMENT = 0.1


def interval(wins: int, losses: int, rows: int, alpha: float) -> Interval:
    """Bounds on the mean difference: `wins` rows only the challenger has right, `losses` only the champion.

    The difference is D (2 w - 1), with D how often exactly one is right and w the challenger's share of those rows.
    Given how many such rows there are, wins are binomial with w (McNemar, Psychometrika 12(2), 1947), so w's bound is
    exact; 0.1 alpha goes to an exact bound on D (Berger and Boos, JASA 89, 1994). "Better at all" (a lower bound above
    0) is the exact sign test at 0.9 alpha. Only rows on which the models disagree need a label.
    """
    if min(wins, losses, rows - wins - losses) < 0:
        raise ValueError(f"{wins} wins and {losses} losses of {rows} rows")
    low = _lower(wins, losses, rows, alpha)
    high = -_lower(losses, wins, rows, alpha)
    return Interval(low, high, "exact")


def _lower(wins: int, losses: int, rows: int, alpha: float) -> float:
    discordant = wins + losses
    advantage = 2 * binomial.lower_bound(wins, discordant, (1 - _SHARE_FOR_DISAGREEMENT) * alpha) - 1
    side = binomial.lower_bound if advantage >= 0 else binomial.upper_bound
    return advantage * side(discordant, rows, _SHARE_FOR_DISAGREEMENT * alpha)
