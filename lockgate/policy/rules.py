"""What an environment asks of a model, as reviewed data. docs/policy.md is the language on one page.

Four kinds of rule (limit, compare, gap, require), and the budget: how often, at most, a model that a rule should have
stopped may be let through, and over what that holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lockgate import canonical
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.statistics.budget import Budget

Bound = Literal["floor", "ceiling"]
Decide = Literal["interval", "estimate"]

METRICS = ("roc_auc", "accuracy", "log_loss", "brier")
RATES = ("positive_rate", "true_positive_rate", "false_positive_rate", "precision")
MEASURES = ("demographic_parity", "equal_opportunity", "equalised_odds", "calibration")
# Of what can be required, these have a floor or a ceiling of the rule's own; of the others nothing may be missing.
MEASURED = ("drift", "effect_size", "evidence_age", "scan_findings", "parity", "approvals")
SCAN = "scan_findings"
# From the worst on; a rule names the least that it counts.
SEVERITIES = ("critical", "high", "medium", "low", "informational", "undefined")
REQUIREMENTS = ("lineage", "data_contract", *MEASURED)


@dataclass(frozen=True)
class Limit:
    """A metric must not be below a floor, or not above a ceiling; the bound itself is allowed.

    by: a protected attribute, each of whose groups must keep the limit; with `group`, only the group of that value.
    """

    name: str
    metric: str
    bound: Bound
    value: float
    by: str = ""
    group: str = ""
    decide: Decide = "interval"
    dry_run: bool = False
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

    minimum_rows: a smaller group makes the rule inconclusive. leave_out: groups that a reviewer excused, named in every
    verdict.
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
    """The rules of one environment and its budget; its digest is in every decision."""

    rules: tuple[Rule, ...]
    budget: Budget

    @property
    def asks_for_scan(self) -> bool:
        return any(isinstance(rule, Require) and rule.what.partition(":")[0] == SCAN for rule in self.rules)

    @property
    def sha256(self) -> str:
        return canonical.sha256(canonical.to_bytes(self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        rules = [{**asdict(rule), **_leave_out(rule)} for rule in self.rules]
        return {"rules": rules, "budget": asdict(self.budget)}


def _leave_out(rule: Rule) -> dict[str, Any]:
    return {"leave_out": list(rule.leave_out)} if isinstance(rule, Gap) else {}


def read_policy(table: Table) -> Policy:
    """Read [budget] and the [[rule]] tables of an environment's file. Raises ConfigError."""
    rules = tuple(_read_rule(entry) for entry in table.tables("rule"))
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise ConfigError(table.file, "rule.name", names, "each name once")
    return Policy(rules, _read_budget(table.table("budget")))


def _read_budget(table: Table) -> Budget:
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


def _read_rule(table: Table) -> Rule:
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
    bound, value = _bound(table)
    by, group = (table.optional_text("by") or ""), (table.optional_text("group") or "")
    if group and not by:
        raise ConfigError(table.file, table.key("group"), group, "the attribute it is a value of, as `by`")
    return Limit(
        name=table.text("name"),
        metric=table.choice("metric", (*METRICS, *RATES)),
        bound=bound,
        value=value,
        by=by,
        group=group,
        decide=_decide(table),
        dry_run=table.flag("dry_run"),
    )


def _compare(table: Table) -> Compare:
    return Compare(
        name=table.text("name"),
        metric=table.choice("metric", METRICS),
        gain=table.number("gain"),
        decide=_decide(table),
        dry_run=table.flag("dry_run"),
    )


def _gap(table: Table) -> Gap:
    bound, value = _bound(table)
    measure = table.choice("measure", MEASURES)
    if not 0 <= value <= 1:
        raise ConfigError(table.file, table.key(bound), value, "from 0 to 1")
    if bound == "floor" and measure == "calibration":
        raise ConfigError(table.file, table.key("floor"), value, "a ceiling: calibration has no ratio")
    return Gap(
        name=table.text("name"),
        measure=measure,
        by=table.text("by"),
        bound=bound,
        value=value,
        minimum_rows=table.integer("minimum_rows", 1, 1_000_000_000),
        leave_out=table.texts("leave_out") if "leave_out" in table.data else (),
        dry_run=table.flag("dry_run"),
    )


def _require(table: Table) -> Require:
    what = table.choice("what", REQUIREMENTS)
    bound, value = _bound(table) if what in MEASURED else ("ceiling", 0.0)
    if what == SCAN:
        what = scan_findings(table.choice("severity", SEVERITIES))
    return Require(table.text("name"), what, bound, value, table.flag("dry_run"))


def scan_findings(severity: str) -> str:
    """The fact that counts an image's findings of a severity or a worse one."""
    return f"{SCAN}:{severity}"


def _decide(table: Table) -> Decide:
    return table.choice("decide", ("interval", "estimate")) if "decide" in table.data else "interval"  # type: ignore[return-value]


def _bound(table: Table) -> tuple[Bound, float]:
    floor, ceiling = table.optional_number("floor"), table.optional_number("ceiling")
    if floor is not None and ceiling is None:
        return "floor", floor
    if ceiling is not None and floor is None:
        return "ceiling", ceiling
    raise ConfigError(table.file, table.path, dict(table.data), "either floor or ceiling")
