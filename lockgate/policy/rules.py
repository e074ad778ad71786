"""What an environment asks of a model, as reviewed data. docs/policy.md is the language on one page.

It has rules of four kinds (limit, compare, gap, require) and an assurance: how often, at most, a model that a rule
should have stopped may be let through, and over what that holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Any, Literal

from lockgate import canonical
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.statistics.budget import Assurance, Budget
from lockgate.tasks.kinds import Scale

Bound = Literal["floor", "ceiling"]
Decide = Literal["interval", "estimate"]

SCAN = "scan_findings"
# Of what can be required, these have a bound of the rule's own; of the others nothing may be missing.
MEASURED = {
    "drift": Scale(0.0, inf, "lower"),
    "effect_size": Scale(0.0, inf, "lower"),
    "evidence_age": Scale(0.0, inf, "lower"),
    SCAN: Scale(0.0, inf, "lower"),
    "parity": Scale(0.0, inf, "lower"),
    "approvals": Scale(0.0, inf, "higher"),
}
MOST_ROWS = 1_000_000_000
# From the worst on; a rule names the least that it counts.
SEVERITIES = ("critical", "high", "medium", "low", "informational", "undefined")
REQUIREMENTS = ("lineage", "data_contract", *MEASURED)


@dataclass(frozen=True)
class Limit:
    """A metric must not be below a floor, or not above a ceiling; the bound itself is allowed.

    by: a protected attribute, each of whose groups must keep the limit; with `group`, only the group of that value.
    minimum_rows, leave_out: as in Gap, of a rule with `by`.
    """

    name: str
    metric: str
    bound: Bound
    value: float
    by: str = ""
    group: str = ""
    decide: Decide = "interval"
    dry_run: bool = False
    minimum_rows: int = 1
    leave_out: tuple[str, ...] = ()
    kind: Literal["limit"] = "limit"


@dataclass(frozen=True)
class Compare:
    """The metric must be better than the champion's on the same rows by at least `gain`; negative: not much worse.

    A gain counts in the direction in which the metric is better: a lower loss is a gain.
    """

    name: str
    metric: str
    gain: float
    decide: Decide = "interval"
    dry_run: bool = False
    kind: Literal["compare"] = "compare"


@dataclass(frozen=True)
class Gap:
    """Any two groups of a protected attribute may differ by so much: a ceiling for the difference of a rate, or a floor
    for the ratio of the lower to the higher.

    minimum_rows: a smaller group makes the rule inconclusive.
    leave_out: groups that a reviewer excused. Every verdict names them.
    """

    name: str
    measure: str
    by: str
    bound: Bound
    value: float
    minimum_rows: int
    leave_out: tuple[str, ...] = ()
    dry_run: bool = False
    kind: Literal["gap"] = "gap"


@dataclass(frozen=True)
class Require:
    """A fact must be known and keep its bound: a count, a number of days, a statistic. Not knowing it is an error.

    what: one of REQUIREMENTS; that of a scan names the severity too (scan_findings).
    """

    name: str
    what: str
    bound: Bound
    value: float
    dry_run: bool = False
    kind: Literal["require"] = "require"


Rule = Limit | Compare | Gap | Require


@dataclass(frozen=True)
class Policy:
    """The rules for one model in one environment and their assurance; its digest is in every decision."""

    rules: tuple[Rule, ...]
    assurance: Assurance

    @property
    def asks_for_scan(self) -> bool:
        return any(isinstance(rule, Require) and rule.what.partition(":")[0] == SCAN for rule in self.rules)

    @property
    def sha256(self) -> str:
        return canonical.sha256(canonical.to_bytes(self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        rules = [_rule_as_dict(rule) for rule in self.rules]
        return {"rules": rules, self.assurance.LEVEL: asdict(self.assurance)}


def _rule_as_dict(rule: Rule) -> dict[str, Any]:
    """A rule as 0.1 wrote it, whose digest is in ledgers; what 0.1 did not know is left out where it asks nothing."""
    document = asdict(rule)
    if isinstance(rule, Limit):
        for key, nothing in (("minimum_rows", 1), ("leave_out", ())):
            if document[key] == nothing:
                del document[key]
    if "leave_out" in document:
        document["leave_out"] = list(document["leave_out"])
    return document


def read_rules(table: Table) -> tuple[Rule, ...]:
    """Read the [[rule]] tables of an environment's file, if it has any. Raises ConfigError."""
    return tuple(read_rule(entry) for entry in table.tables("rule")) if table.has("rule") else ()


def read_budget(table: Table) -> Budget:
    """Read [budget], whose keys are the fields of a Budget but for its rate. Raises ConfigError."""
    rate = table.number("false_promotion_rate")
    if not 0 < rate < 0.5:
        raise ConfigError(table.file, table.key("false_promotion_rate"), rate, "a rate above 0 and below 0.5")
    budget = Budget(
        rate=rate,
        scope=table.choice("scope", ("holdout", "policy")),  # type: ignore[arg-type]
        decisions=table.integer("decisions", 1, 100_000),
        feedback=table.choice("feedback", ("none", "first-pass", "every-verdict")),  # type: ignore[arg-type]
    )
    table.finish()
    return budget


def read_rule(table: Table) -> Rule:
    """Read one [[rule]] table. Raises ConfigError."""
    readers: dict[str, Callable[[Table], Rule]] = {
        "limit": _limit,
        "compare": _compare,
        "gap": _gap,
        "require": _require,
    }
    rule = readers[table.choice("kind", tuple(readers))](table)
    table.finish()
    return rule


def _limit(table: Table) -> Limit:
    metric = table.text("metric")
    bound, value = _bound(table)
    by, group = (table.optional_text("by") or ""), (table.optional_text("group") or "")
    if group and not by:
        raise ConfigError(table.file, table.key("group"), group, "the attribute it is a value of, as `by`")
    minimum_rows, leave_out = table.integer("minimum_rows", 1, MOST_ROWS, 1), table.optional_names("leave_out", ())
    for key, asked in (("minimum_rows", minimum_rows > 1), ("leave_out", bool(leave_out))):
        if asked and (not by or (group and key == "leave_out")):
            expected = "a rule over the groups of an attribute: `by` and no `group`"
            raise ConfigError(table.file, table.key(key), table.data[key], expected)
    return Limit(
        name=table.text("name"),
        metric=metric,
        bound=bound,
        value=value,
        by=by,
        group=group,
        decide=_decide(table),
        dry_run=table.flag("dry_run"),
        minimum_rows=minimum_rows,
        leave_out=leave_out,
    )


def _compare(table: Table) -> Compare:
    return Compare(
        name=table.text("name"),
        metric=table.text("metric"),
        gain=table.number("gain"),
        decide=_decide(table),
        dry_run=table.flag("dry_run"),
    )


def _gap(table: Table) -> Gap:
    bound, value = _bound(table)
    return Gap(
        name=table.text("name"),
        measure=table.text("measure"),
        by=table.text("by"),
        bound=bound,
        value=value,
        minimum_rows=table.integer("minimum_rows", 1, MOST_ROWS),
        leave_out=table.texts("leave_out") if "leave_out" in table.data else (),
        dry_run=table.flag("dry_run"),
    )


def _require(table: Table) -> Require:
    what = table.choice("what", REQUIREMENTS)
    bound, value = _bound(table) if what in MEASURED else ("ceiling", 0.0)
    if what in MEASURED:
        refuse_bound(bound, value, what, MEASURED[what], table.file, table.path)
    if what == SCAN:
        what = scan_findings(table.choice("severity", SEVERITIES))
    return Require(table.text("name"), what, bound, value, table.flag("dry_run"))


def scan_findings(severity: str) -> str:
    """The fact that counts an image's findings of a severity or a worse one."""
    return f"{SCAN}:{severity}"


def _decide(table: Table) -> Decide:
    return table.choice("decide", ("interval", "estimate")) if "decide" in table.data else "interval"  # type: ignore[return-value]


def _bound(table: Table) -> tuple[Bound, float]:
    bounds: tuple[Bound, ...] = ("floor", "ceiling")
    given = [(each, number) for each in bounds if (number := table.optional_number(each)) is not None]
    if len(given) != 1:
        raise ConfigError(table.file, table.path, dict(table.data), "either floor or ceiling")
    return given[0]


def refuse_bound(bound: Bound, value: float, what: str, scale: Scale, file: str, key: str) -> None:
    """A bound is in the direction in which the number is better and within what it can be; else a ConfigError."""
    if {"higher": "floor", "lower": "ceiling"}.get(scale.better, bound) != bound:
        right = "floor" if bound == "ceiling" else "ceiling"
        expected = f"a {right}: {scale.better} is better, so a {bound} of {what} would let the worst model pass"
        raise ConfigError(file, f"{key}.{bound}", value, expected)
    if not scale.lowest <= value <= scale.highest:
        most = f"to {scale.highest:.6g}" if isfinite(scale.highest) else "on"
        expected = f"from {scale.lowest:g} {most}: {what} is never anything else"
        raise ConfigError(file, f"{key}.{bound}", value, expected)
