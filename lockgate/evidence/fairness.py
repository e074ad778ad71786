"""How a model treats the groups of a protected attribute: metrics with intervals, and each group beside the largest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.evidence.document import Evidence
from lockgate.evidence.measurement import Measured, Unmeasured, gaps, groups_of, measured
from lockgate.gate.verdict import Outcome, decided
from lockgate.tasks.task import task_of


@dataclass(frozen=True)
class Row:
    """One group. numbers: what the task shows of it.

    outcome: whether its gap to the largest group is within the ceiling; None for the largest itself.
    """

    group: str
    rows: int
    numbers: tuple[Measured | Unmeasured, ...]
    outcome: Outcome | None


def table(evidence: Evidence, attribute: str, measure: str, ceiling: float, alpha: float) -> Iterator[Row]:
    """The groups of one attribute, largest first; each interval's ends are wrong with probability at most alpha."""
    groups, target = groups_of(evidence, attribute), evidence.target
    by_size = sorted(groups, key=lambda value: -groups[value].rows)
    largest = by_size[0]
    for value in by_size:
        numbers = [measured(name, evidence, alpha, groups[value]) for name in task_of(target).shown(target)]
        pair = {value: groups[value], largest: groups[largest]}
        outcomes = [
            Outcome.INCONCLUSIVE
            if isinstance(gap.measured, Unmeasured)
            else decided("ceiling", ceiling, gap.measured, "interval")
            for gap in gaps(measure, "ceiling", pair, alpha, target)
        ]
        worst = max(outcomes, key=lambda outcome: outcome.badness, default=None)
        yield Row(value, groups[value].rows, tuple(numbers), worst)
