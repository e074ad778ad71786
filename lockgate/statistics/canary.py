"""Whether a canary answers with errors more often than the release beside it, looked at as often as one likes.

Requests go to one of two releases at random. In one minute, let the canary have n1 of the n requests and k of all be
errors. If both fail with the same probability, whatever it is in that minute, then given n1, n and k the number of the
canary's errors is hypergeometric: it does not matter which of the requests failed. If the canary's odds of an error
are w times the other's, it is Fisher's noncentral hypergeometric with w. The product over minutes of the ratio of the
two is therefore a nonnegative martingale with expectation 1 where the canary is no worse, as is its mean over a fixed
mixture of w > 1; for w' < 1 it is a supermartingale, since the number of errors is stochastically smaller. By Ville's
inequality it ever reaches 1 / alpha with probability at most alpha: looking often raises no false alarms, and the rate
of errors may change from minute to minute (a bad upstream hits both).

Sources: Lindon, Sanh, Shirley, "Rapid Regression Detection in Software Deployments through Sequential Testing", KDD
2022 (canaries, conditioning on the total, mixtures); ter Schure, Perez-Ortiz, Ly, Grunwald, "The anytime-valid logrank
test", 2020 (the product of such ratios as an e-process); Fisher, "The logic of inductive inference", JRSS 98(1), 1935
(the distribution).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, inf, lgamma, log

# Odds ratios that the evidence looks for, each as likely: from a few more errors to nothing but errors.
ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Minute:
    """What both releases answered in one minute: requests and how many of them with an error."""

    canary_requests: int
    canary_errors: int
    other_requests: int
    other_errors: int

    def __post_init__(self) -> None:
        for requests, errors in (
            (self.canary_requests, self.canary_errors),
            (self.other_requests, self.other_errors),
        ):
            if not 0 <= errors <= requests:
                raise ValueError(f"{errors} errors of {requests} requests: expected 0 <= errors <= requests")


def e_value(minutes: Iterable[Minute]) -> float:
    """Evidence against "the canary fails no more often than the other"; 1 without traffic on both, infinity at most.

    It has expectation at most 1 where that holds, whenever somebody looks at it.
    """
    totals = [0.0] * len(ODDS)
    for minute in minutes:
        ratios = _log_ratios(minute)
        totals = [total + ratio for total, ratio in zip(totals, ratios, strict=True)]
    largest = max(totals)
    value = largest - log(len(ODDS)) + log(sum(exp(total - largest) for total in totals))
    return exp(value) if value < 700.0 else inf


def _log_ratios(minute: Minute) -> list[float]:
    """For each odds ratio, the log of noncentral over central hypergeometric probability of the canary's errors."""
    drawn, errors = minute.canary_requests, minute.canary_errors + minute.other_errors
    low, high = max(0, errors - minute.other_requests), min(errors, drawn)
    if low == high:  # no errors, or only one release has traffic: the counts could not be otherwise
        return [0.0] * len(ODDS)
    counts = range(low, high + 1)
    central = [_log_choose(drawn, j) + _log_choose(minute.other_requests, errors - j) for j in counts]
    whole = _log_sum(central)
    ratios = []
    for odds in ODDS:
        tilted = _log_sum([value + j * log(odds) for j, value in zip(counts, central, strict=True)])
        ratios.append(minute.canary_errors * log(odds) - (tilted - whole))
    return ratios


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _log_sum(values: list[float]) -> float:
    largest = max(values)
    return largest + log(sum(exp(value - largest) for value in values))
