"""Bounds on a mean by betting against it, from counts: paired differences and single models' hits.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86(1), 2024: if the mean of
variables between 0 and 1 is at most m, the capital of someone who bets the same share c of what can be lost on "higher"
at every row, prod(1 - c + c x / m), has expectation at most 1 after any number of rows, and so has the average capital
over a fixed mixture of shares. By Ville's inequality it ever reaches 1 / alpha with probability at most alpha. A fixed
mixture needs only how often each value was seen, holds at every alpha and every number of rows, and may be looked at
after each row.
"""

from __future__ import annotations

from math import exp, inf, log, log1p

_SHARES = (0.95, *(0.7 * 2.0**-k for k in range(10)))  # down to 0.0014, and each as likely
_LOG_WEIGHT = -log(len(_SHARES))


def e_value(wins: int, losses: int, ties: int, mean: float) -> float:
    """Evidence against "the mean of differences in {-1, 0, +1} is at most `mean`"; -1 <= mean < 1.

    It has expectation at most 1 where that holds. It is 1 without rows, and infinite where the hypothesis cannot hold.
    """
    return _exp(_log_e_value(losses, ties, wins, (mean + 1) / 2))


def lower_bound(wins: int, losses: int, ties: int, alpha: float) -> float:
    """The largest mean of differences in {-1, 0, +1} that is refuted at alpha; -1 when none is.

    It is above the true mean with probability at most alpha, over all rows looked at together.
    """
    return 2 * _invert(losses, ties, wins, alpha) - 1


def upper_bound(wins: int, losses: int, ties: int, alpha: float) -> float:
    """The mirror image of the lower bound."""
    return -lower_bound(losses, wins, ties, alpha)


def rate_e_value(successes: int, rows: int, rate: float) -> float:
    """Evidence against "the rate of successes is at most `rate`"."""
    return _exp(_log_e_value(rows - successes, 0, successes, rate))


def rate_lower_bound(successes: int, rows: int, alpha: float) -> float:
    """The largest rate that is refuted at alpha. Unlike the exact bound it may be looked at after each row."""
    return _invert(rows - successes, 0, successes, alpha)


def _log_e_value(zeros: int, halves: int, ones: int, mean: float) -> float:
    if mean <= 0.0:
        return inf if halves or ones else 0.0
    logs = [
        zeros * log1p(-share) + halves * log1p(share * (0.5 / mean - 1)) + ones * log1p(share * (1 / mean - 1))
        for share in _SHARES
    ]
    largest = max(logs)
    return _LOG_WEIGHT + largest + log(sum(exp(value - largest) for value in logs))


def _invert(zeros: int, halves: int, ones: int, alpha: float) -> float:
    """Bisection: the capital falls as the mean rises, since every factor does."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha {alpha}: expected between 0 and 1")
    needed, low, high = -log(alpha), 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if _log_e_value(zeros, halves, ones, middle) >= needed:
            low = middle
        else:
            high = middle
    return low


def _exp(value: float) -> float:
    return exp(value) if value < 700.0 else inf
