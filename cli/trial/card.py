"""A card: what a recipe showed on training rows, what the gate would make of it, and what would fail later.

It is no verdict: the gate judges one model on rows that no training saw, and this is a recipe on training rows.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.evidence.document import Evidence, Group
from lockgate.evidence.measurement import Measured, compared, measured
from lockgate.gate.readings import Reading
from lockgate.gate.verdict import Circumstances, Judgement, Outcome, RuleResult, judge
from lockgate.policy.rules import Compare, Gap, Limit, Policy, Require
from lockgate.statistics.budget import Simple, decision_level
from lockgate.tasks.task import metrics_of

LEVEL = 0.025  # at each end: 95 % for both
NO_VERDICT = "no verdict: the gate judges the trained model on rows that no training saw"
MOST_GROUPS = 12  # of an attribute, in text
NOT_HERE = "only known at the gate"


@dataclass(frozen=True)
class Check:
    """What a later step would refuse. outcome: passed, failed, or not tried, with why."""

    name: str
    outcome: str
    message: str


@dataclass(frozen=True)
class MetricShown:
    """A metric out of fold with its interval; better_than_before: the gain over the champion's recipe, low to high."""

    metric: str
    value: float
    low: float
    high: float
    rows: int
    gain: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class OfGroup:
    """One metric of the rows with one value of a protected attribute; None where no row counts for it."""

    attribute: str
    group: str
    rows: int
    value: float | None


@dataclass(frozen=True)
class Opinion:
    """What the gate of an environment would say by the model's policy, if the holdout were like these rows."""

    environments: tuple[str, ...]
    outcome: str
    level: float
    reasons: tuple[RuleResult, ...]


@dataclass(frozen=True)
class Card:
    """rows: tried, of so many training rows. beside: the champion's recipe or why there is none. error: the failure of
    the team's code with its own lines; then nothing was measured. facts: engine, size, seconds."""

    model: str
    task: str
    rows: int
    of_rows: int
    beside: str
    numbers: tuple[MetricShown, ...]
    groups: tuple[OfGroup, ...]
    facts: tuple[tuple[str, str], ...]
    opinions: tuple[Opinion, ...]
    checks: tuple[Check, ...]
    error: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        return bool(self.error) or any(check.outcome == "failed" for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "task": self.task,
            "rows": self.rows,
            "of_rows": self.of_rows,
            "beside": self.beside,
            "metrics": [vars(number) for number in self.numbers],
            "groups": [vars(group) for group in self.groups],
            "facts": dict(self.facts),
            "would": [
                {
                    "environments": list(opinion.environments),
                    "outcome": opinion.outcome,
                    "level": opinion.level,
                    "verdict": False,
                    "rules": [
                        {"rule": each.rule, "outcome": _outcome(each), "message": each.message}
                        for each in opinion.reasons
                    ],
                }
                for opinion in self.opinions
            ],
            "checks": [vars(check) for check in self.checks],
            "error": list(self.error),
            "fails": self.fails,
        }


def numbers_of(evidence: Evidence) -> Iterator[MetricShown]:
    """Each metric that the rows have, with the gain over the champion's recipe where both were fitted."""
    for name, kind in metrics_of(evidence.target).items():
        found = measured(name, evidence, LEVEL) if name in evidence.metrics else None
        if not isinstance(found, Measured):
            continue
        before = evidence.champion
        both = before is not None and kind.compared and name in before.metrics and name in before.paired
        gain = compared(name, evidence, before, LEVEL) if both and before else None
        ends = (gain.value, gain.interval.low, gain.interval.high) if isinstance(gain, Measured) else None
        yield MetricShown(name, found.value, found.interval.low, found.interval.high, found.rows, ends)


def groups_of(evidence: Evidence, metric: str) -> Iterator[OfGroup]:
    for attribute, groups in evidence.groups.items():
        for value, group in groups.items():
            yield OfGroup(attribute, value, group.rows, _value(group, metric))


def _value(group: Group, metric: str) -> float | None:
    found = group.metrics.get(metric)
    return found.value if found else None


def opinions_of(
    policies: Mapping[str, Policy], evidence: Evidence, champion: str, why_no_champion: str
) -> tuple[Opinion, ...]:
    """What each environment's gate would say, equal ones together.

    champion: the digest that stands for the champion's recipe, "" where there is none. why_no_champion: "" where
    nothing is served, since the gate then compares with nothing either.
    """
    found: dict[tuple[str, float, tuple[RuleResult, ...]], list[str]] = {}
    for environment, policy in policies.items():
        level = _level(policy)
        reasons = tuple(_opinion(policy, evidence, Circumstances(level, champion), why_no_champion).reasons)
        outcome = Judgement(reasons).outcome.value if not all(each.dry_run for each in reasons) else "not known"
        found.setdefault((outcome, level, reasons), []).append(environment)
    return tuple(Opinion(tuple(names), *key) for key, names in found.items())


def _opinion(policy: Policy, evidence: Evidence, circumstances: Circumstances, why_no_champion: str) -> Judgement:
    """Rules about facts that only a pipeline has, and comparisons that could not be made, are said and not judged."""
    reasons: list[RuleResult] = []
    for rule in policy.rules:
        if isinstance(rule, Require) and rule.what != "parity":
            reasons.append(RuleResult(rule.name, Outcome.ERROR, f"{rule.what}: {NOT_HERE}", dry_run=True))
        elif isinstance(rule, Limit | Gap) and rule.by and rule.by not in evidence.groups:
            why = f"{rule.by}: the training rows have no such column"
            reasons.append(RuleResult(rule.name, Outcome.ERROR, why, dry_run=True))
        elif isinstance(rule, Compare) and why_no_champion:
            reasons.append(RuleResult(rule.name, Outcome.ERROR, f"{rule.metric}: {why_no_champion}", dry_run=True))
        else:
            metric = evidence.metrics.get("serving_difference")
            readings = {"parity": Reading(metric.value, "on the rows that were tried")} if metric else {}
            alone = Policy((rule,), policy.assurance)
            reasons += judge(
                alone, evidence, Circumstances(circumstances.alpha, circumstances.champion_sha256, readings=readings)
            ).reasons
    return Judgement(tuple(reasons))


def _level(policy: Policy) -> float:
    """Of the first decision on a new holdout."""
    assurance = policy.assurance
    return assurance.error if isinstance(assurance, Simple) else decision_level(assurance, 1, 0, 0)


def as_lines(card: Card) -> list[str]:
    """The card as text, whose lines a terminal breaks where they are too long."""
    lines = [f"{card.model}: {card.task}, {card.rows:,} of {card.of_rows:,} training rows", f"  {card.beside}"]
    if card.error:
        lines += ["", "train failed", *(f"  {line}" for line in card.error)]
    if card.numbers:
        lines += ["", "  out of fold; from and to are ends of 95 % intervals", *_columns(_table_of_numbers(card))]
    if _table_of_gains(card):
        lines += ["", *_columns(_table_of_gains(card))]
    for attribute in dict.fromkeys(group.attribute for group in card.groups):
        found = [group for group in card.groups if group.attribute == attribute]
        name = card.numbers[0].metric if card.numbers else ""
        said = ", ".join(f"{each.group} {_shown(each.value)} ({each.rows:,} rows)" for each in found[:MOST_GROUPS])
        more = f", and {len(found) - MOST_GROUPS} groups more" if len(found) > MOST_GROUPS else ""
        lines += [f"  {name} by {attribute}: {said}{more}"]
    if card.facts:
        lines += ["", *_columns(card.facts)]
    for opinion in card.opinions:
        lines += ["", f"the gate of {', '.join(opinion.environments)} would say: {opinion.outcome}"]
        lines += [f"  at error {opinion.level:.3g}; {NO_VERDICT}"]
        lines += [f"  {_outcome(each)}: {each.rule}: {each.message}" for each in opinion.reasons]
    lines += ["", "would it fail later?"]
    lines += [f"  {check.outcome}: {check.name}: {check.message}" for check in card.checks]
    return lines


def as_markdown(cards: Sequence[Card]) -> str:
    """The same for a comment: what a branch wrote is text in it, and never a link, a mention or HTML."""
    if not cards:
        return "## Models\n\nThis branch changes no model.\n"
    parts = []
    for card in cards:
        said = (
            "would fail"
            if card.fails
            else ", ".join(f"{each.outcome} in {'/'.join(each.environments)}" for each in card.opinions)
        )
        parts += [f"## Model {_plain(card.model)}: {_plain(said)}", ""]
        parts += [f"{card.rows:,} of {card.of_rows:,} training rows, cross-validated. {_plain(card.beside)}", ""]
        for first, *rows in filter(None, (_table_of_numbers(card), _table_of_gains(card))):
            parts += [f"| {' | '.join(first)} |", f"|{' --- |' * len(first)}"]
            parts += [f"| {' | '.join(map(_plain, row))} |" for row in rows] + [""]
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", "\n".join(as_lines(card)))), default=0))
        parts += [
            "<details><summary>the whole card</summary>",
            "",
            f"{fence}text",
            *as_lines(card),
            fence,
            "",
            "</details>",
            "",
        ]
    return "\n".join([*parts, f"This is {NO_VERDICT}."]) + "\n"


def _plain(text: str) -> str:
    """Text of a table's cell that GitHub shows as it is."""
    return re.sub(r"([\\`*_{}\[\]#|@~:!])", r"\\\1", html.escape(" ".join(text.split())))


def _table_of_numbers(card: Card) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("metric", "value", "from", "to", "rows")]
    for each in card.numbers:
        rows.append((each.metric, _shown(each.value), _shown(each.low), _shown(each.high), f"{each.rows:,}"))
    return rows


def _table_of_gains(card: Card) -> list[tuple[str, ...]]:
    """Of the metrics that were compared with the champion's recipe; no row where none was."""
    rows: list[tuple[str, ...]] = [(each.metric, *map(_shown, each.gain)) for each in card.numbers if each.gain]
    return [("better than it by", "value", "from", "to"), *rows] if rows else []


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _outcome(reason: RuleResult) -> str:
    return "not tried" if reason.outcome is Outcome.ERROR and reason.dry_run else reason.outcome.value


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
