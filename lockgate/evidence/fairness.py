"""How a model treats the groups of a protected attribute: rates with intervals, and each group beside the largest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lockgate.evidence.document import Group
from lockgate.evidence.measurement import Unmeasured, gaps, rate
from lockgate.gate.verdict import Outcome, decided
from lockgate.statistics import binomial
from lockgate.statistics.interval import Interval

SHOWN = ("positive_rate", "true_positive_rate", "false_positive_rate")


@dataclass(frozen=True)
class Row:
    """One group. rates: (value, interval) of SHOWN; value None where no row counts.

    outcome: whether its gap to the largest group is within the ceiling; None for the largest itself.
    """

    group: str
    rows: int
    rates: tuple[tuple[float | None, Interval], ...]
    outcome: Outcome | None


def table(groups: Mapping[str, Group], measure: str, ceiling: float, alpha: float) -> Iterator[Row]:
    """The groups of one attribute, largest first; each interval's ends are wrong with probability at most alpha."""
    by_size = sorted(groups, key=lambda value: -groups[value].rows)
    largest = by_size[0]
    for value in by_size:
        rates = []
        for name in SHOWN:
            successes, rows = rate(name, groups[value])
            rates.append((successes / rows if rows else None, binomial.interval(successes, rows, alpha)))
        pair = {value: groups[value], largest: groups[largest]}
        outcomes = [
            Outcome.INCONCLUSIVE
            if isinstance(gap.measured, Unmeasured)
            else decided("ceiling", ceiling, gap.measured, "interval")
            for gap in gaps(measure, "ceiling", pair, alpha)
        ]
        worst = max(outcomes, key=lambda outcome: outcome.badness, default=None)
        yield Row(value, groups[value].rows, tuple(rates), worst)
