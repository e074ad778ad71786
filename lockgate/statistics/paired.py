"""Is the challenger more often right than the champion, on the same rows? Bounds on the difference, from counts."""

from __future__ import annotations

from lockgate.statistics import betting, binomial
from lockgate.statistics.interval import Interval

_FOR_WINS, _FOR_DISAGREEMENT, _FOR_BETTING = 0.8, 0.1, 0.1


def interval(wins: int, losses: int, rows: int, alpha: float) -> Interval:
    """Bounds on the mean difference: `wins` rows only the challenger has right, `losses` only the champion."""
    low, high = lower_bound(wins, losses, rows, alpha), -lower_bound(losses, wins, rows, alpha)
    return Interval(low, high, "finite-sample")


def lower_bound(wins: int, losses: int, rows: int, alpha: float) -> float:
    """The better of two bounds that share alpha; above the true difference with probability at most alpha.

    The first writes the difference as D (2 w - 1), with D how often exactly one is right and w the challenger's share
    of those rows: given how many such rows there are, wins are binomial (McNemar, Psychometrika 12(2), 1947), so w has
    an exact bound, at 0.8 alpha, and D another, at 0.1 alpha (Berger and Boos, JASA 89(427), 1994). "Better at all", a
    bound above 0, is then the exact sign test. The second is the betting bound at 0.1 alpha, the tighter one at small
    error rates and where being a little worse is allowed. Neither needs the label of a row on which the models agree.
    """
    discordant, ties = wins + losses, rows - wins - losses
    if min(wins, losses, ties) < 0:
        raise ValueError(f"{wins} wins and {losses} losses of {rows} rows: expected them within the rows")
    advantage = 2 * binomial.lower_bound(wins, discordant, _FOR_WINS * alpha) - 1
    side = binomial.lower_bound if advantage >= 0 else binomial.upper_bound
    exact = advantage * side(discordant, rows, _FOR_DISAGREEMENT * alpha)
    return max(exact, betting.lower_bound(wins, losses, ties, _FOR_BETTING * alpha))
