"""The regularized incomplete beta function and its inverse, accurate in the far tail, where small error rates live."""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist

_TINY = 1e-300
_CLOSE = 1e-15


def log_cdf(x: float, a: float, b: float) -> float:
    """Log of I_x(a, b), the probability that a Beta(a, b) variable is at most x; a and b are 1 or more."""
    if x <= 0.0:
        return -inf
    if x >= 1.0:
        return 0.0
    if x <= (a + 1) / (a + b + 2):
        return min(0.0, _log_density_times_x(x, a, b) - log(a) + log(_continued_fraction(x, a, b)))
    upper = _log_density_times_x(1 - x, b, a) - log(b) + log(_continued_fraction(1 - x, b, a))
    return log1p(-exp(upper)) if upper < -_CLOSE else -inf


def quantile(a: float, b: float, probability: float) -> float:
    """The x with I_x(a, b) = probability, for 0 < probability < 1 and a, b of 1 or more.

    Newton's method on log I_x as a function of log odds of x, kept inside a bracket by bisection.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability {probability}: expected between 0 and 1")
    if probability > 0.5:  # the near tail of the mirrored variable is the accurate one
        return 1.0 - quantile(b, a, 1.0 - probability)
    target, low, high = log(probability), 0.0, 1.0
    x = _normal_guess(a, b, probability)
    for _ in range(200):
        value = log_cdf(x, a, b)
        if value < target:
            low = x
        else:
            high = x
        # d log I / d logit x = x (1 - x) density / I
        slope = exp(min(700.0, _log_density_times_x(x, a, b) - value))
        step = (target - value) / slope if slope > 0.0 else inf
        following = _shift_log_odds(x, step) if abs(step) < 50.0 else -1.0
        # Before the bracket is asked: x has become one of its ends, and a half of it may be far away.
        if abs(following - x) <= 1e-14 * x:
            return following
        if not low < following < high:
            following = (low + high) / 2
            if following in (low, high):
                return following
        x = following
    return low


def _log_density_times_x(x: float, a: float, b: float) -> float:
    """Log of x^a (1 - x)^b / B(a, b)."""
    return a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """DLMF 8.17.22 by Lentz's method (https://dlmf.nist.gov/8.17.E22); takes about sqrt(a + b) terms at worst."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    result, m = d, 0
    while True:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1.0 + numerator * d
            c = 1.0 + numerator / c
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = c if abs(c) > _TINY else _TINY
            change = c * d
            result *= change
        if abs(change - 1.0) < _CLOSE or m > 1_000_000:
            return result


def _normal_guess(a: float, b: float, probability: float) -> float:
    mean = a / (a + b)
    spread = sqrt(mean * (1 - mean) / (a + b + 1))
    guess = mean + NormalDist().inv_cdf(max(probability, 1e-300)) * spread
    return guess if 0.0 < guess < 1.0 else mean / 2


def _shift_log_odds(x: float, step: float) -> float:
    odds = x / (1 - x) * exp(step)
    return odds / (1 + odds)
