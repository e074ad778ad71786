"""Policies: a bound is allowed, a typo is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.evidence.document import BINARY_TARGET
from lockgate.policy.fit import refuse_unfit
from lockgate.policy.rules import Compare, Gap, Limit, Policy, Require, read_budget, read_rules
from lockgate.statistics.budget import Budget, Simple

BUDGET: dict[str, Any] = {
    "false_promotion_rate": 0.05,
    "scope": "policy",
    "decisions": 32,
    "feedback": "every-verdict",
}
RULE: dict[str, Any] = {"kind": "limit", "name": "ranking", "metric": "roc_auc", "floor": 0.8}


def read(*rules: Any) -> Policy:
    """Rules that are read, and fit a model of two classes."""
    found = read_rules(Table("environments/dev.toml", "", {"rule": list(rules)}))
    for rule in found:
        refuse_unfit(rule, BINARY_TARGET, "environments/dev.toml")
    return Policy(found, budget())


def budget(**changes: Any) -> Budget:
    return read_budget(Table("model/income/policy.toml", "budget", {**BUDGET, **changes}))


def test_a_rule_is_read_with_its_bound() -> None:
    assert read(RULE).rules == (Limit("ranking", "roc_auc", "floor", 0.8),)
    ceiling = {"kind": "limit", "name": "loss", "metric": "log_loss", "ceiling": 1}
    assert read(ceiling).rules == (Limit("loss", "log_loss", "ceiling", 1.0),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flor": 0.8}, "rule[0].flor: found 0.8, expected no such key"),
        ({"kind": "limits"}, "rule[0].kind: found 'limits', expected one of limit, compare, gap, require"),
        ({"ceiling": 0.9}, "expected either floor or ceiling"),
        ({"floor": "0.8"}, "rule[0].floor: found '0.8', expected a finite number"),
        ({"floor": float("nan")}, "rule[0].floor: found nan, expected a finite number"),
        ({"floor": True}, "rule[0].floor: found True, expected a finite number"),
        ({"name": ""}, "rule[0].name: found '', expected text"),
        ({"metric": 7}, "rule[0].metric: found 7, expected text"),
        ({"dry_run": "yes"}, "rule[0].dry_run: found 'yes', expected true or false"),
        ({"decide": "guess"}, "rule[0].decide: found 'guess', expected one of interval, estimate"),
        ({"group": "1"}, "rule[0].group: found '1', expected the attribute it is a value of"),
        ({"floor": 80}, "rule 'ranking'.floor: found 80.0, expected from 0 to 1: roc_auc is never anything else"),
        ({"floor": -1}, "rule 'ranking'.floor: found -1.0, expected from 0 to 1: roc_auc is never anything else"),
        (
            {"metric": "log_loss"},
            "rule 'ranking'.floor: found 0.8, expected a ceiling: lower is better, so a floor of log",
        ),
        ({"metric": "false_positive_rate"}, "rule 'ranking'.floor: found 0.8, expected a ceiling: lower is better"),
        ({"floor": None, "ceiling": 0.8}, "rule 'ranking'.ceiling: found 0.8, expected a floor: higher is better"),
        ({"minimum_rows": 100}, "rule[0].minimum_rows: found 100, expected a rule over the groups of an attribute"),
        ({"leave_out": ["4"]}, "rule[0].leave_out: found ['4'], expected a rule over the groups of an attribute"),
        ({"by": "S", "group": "1", "leave_out": ["4"]}, "rule[0].leave_out: found ['4'], expected a rule over the"),
    ],
)
def test_a_mistake_in_a_rule_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({**RULE, **change})
    assert str(caught.value).startswith("environments/dev.toml: ")
    assert message in str(caught.value)


def test_a_rule_without_a_bound_is_refused() -> None:
    with pytest.raises(ConfigError, match="either floor or ceiling"):
        read({key: value for key, value in RULE.items() if key != "floor"})


def test_an_environment_without_rules_is_refused() -> None:
    with pytest.raises(ConfigError, match="one or more"):
        read()


def test_the_digest_changes_with_every_part_of_a_rule() -> None:
    changes: list[dict[str, Any]] = [{}, {"name": "other"}, {"metric": "accuracy"}, {"floor": 0.81}]
    assert len({read({**RULE, **change}).sha256 for change in changes}) == 4
    assert read(RULE).sha256 == read(dict(reversed(RULE.items()))).sha256


def test_what_a_limit_newly_asks_is_in_its_digest_and_what_it_does_not_ask_leaves_the_digest_of_before() -> None:
    by_group = {**RULE, "by": "SEX"}
    before = "15d9100569739243fda2d0e0ab1fc54c3abaf773656b39d61e621604968e6b99"  # as 0.1 wrote it
    assert read(by_group).sha256 == before
    digests = {before, read({**by_group, "minimum_rows": 9}).sha256, read({**by_group, "leave_out": ["4"]}).sha256}
    assert len(digests) == 3


GAP: dict[str, Any] = {
    "kind": "gap",
    "name": "fair",
    "measure": "equalised_odds",
    "by": "SEX",
    "ceiling": 0.1,
    "minimum_rows": 100,
}


def test_every_kind_of_rule_is_read() -> None:
    compare = {"kind": "compare", "name": "better", "metric": "accuracy", "gain": 0, "dry_run": True}
    require = {"kind": "require", "name": "drift", "what": "drift", "ceiling": 0.2}
    lineage = {"kind": "require", "name": "lineage", "what": "lineage"}
    assert read({**RULE, "by": "SEX"}, compare, {**GAP, "leave_out": ["4"]}, require, lineage).rules == (
        Limit("ranking", "roc_auc", "floor", 0.8, by="SEX"),
        Compare("better", "accuracy", 0.0, dry_run=True),
        Gap("fair", "equalised_odds", "SEX", "ceiling", 0.1, 100, ("4",)),
        Require("drift", "drift", "ceiling", 0.2),
        Require("lineage", "lineage", "ceiling", 0.0),
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {**GAP, "ceiling": 1.5},
            "rule 'fair'.ceiling: found 1.5, expected from 0 to 1: equalised_odds is never anything else",
        ),
        ({**GAP, "measure": "calibration", "ceiling": None, "floor": 0.8}, "a ceiling: calibration has no ratio"),
        ({**GAP, "minimum_rows": 0}, "rule[0].minimum_rows: found 0, expected an integer from 1"),
        (
            {**GAP, "measure": "fairness"},
            "rule 'fair'.measure: found 'fairness', expected one of a binary model",
        ),
        ({"kind": "require", "name": "r", "what": "luck"}, "rule[0].what: found 'luck', expected one of lineage"),
        ({"kind": "require", "name": "r", "what": "drift"}, "expected either floor or ceiling"),
        ({"kind": "require", "name": "r", "what": "drift", "floor": 0.1}, "expected a ceiling: lower is better"),
        ({"kind": "require", "name": "r", "what": "approvals", "ceiling": 1}, "expected a floor: higher is better"),
        ({"kind": "require", "name": "r", "what": "drift", "ceiling": -1}, "found -1.0, expected from 0 on"),
        (
            {"kind": "compare", "name": "c", "metric": "accuracy", "gain": 5},
            "rule 'c'.gain: found 5.0, expected from -1 to 1: accuracy lies from 0 to 1",
        ),
        (
            {"kind": "require", "name": "r", "what": "lineage", "floor": 1},
            "rule[0].floor: found 1, expected no such key",
        ),
        ({"kind": "compare", "name": "c", "metric": "accuracy"}, "rule[0].gain: found nothing, expected this key"),
    ],
)
def test_a_mistake_in_a_rule_of_another_kind_is_named(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({key: value for key, value in rule.items() if value is not None})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"false_promotion_rate": 0}, "budget.false_promotion_rate: found 0.0, expected a rate above 0 and below 0.5"),
        ({"false_promotion_rate": 0.5}, "budget.false_promotion_rate: found 0.5"),
        ({"false_promotion_rate": 0.6}, "budget.false_promotion_rate: found 0.6"),
        ({"scope": "forever"}, "budget.scope: found 'forever', expected one of holdout, policy"),
        ({"decisions": 0}, "budget.decisions: found 0"),
        ({"feedback": "all"}, "budget.feedback: found 'all', expected one of none, first-pass, every-verdict"),
        ({"rate": 0.05}, "budget.rate: found 0.05, expected no such key"),
    ],
)
def test_a_mistake_in_the_budget_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        budget(**change)
    assert message in str(caught.value)


def test_the_digest_changes_with_the_assurance() -> None:
    digests = {replace(read(RULE), assurance=each).sha256 for each in (budget(), budget(decisions=33), Simple(0.05))}
    assert len(digests) == 3


@pytest.mark.parametrize("ceiling", [0, 1])
def test_a_gap_may_be_nothing_or_everything(ceiling: float) -> None:
    (rule,) = read({**GAP, "ceiling": ceiling}).rules
    assert rule == Gap("fair", "equalised_odds", "SEX", "ceiling", float(ceiling), 100)


GAP_RULE: dict[str, Any] = {
    "kind": "gap",
    "name": "fair",
    "measure": "calibration",
    "by": "SEX",
    "ceiling": 0.1,
    "minimum_rows": 100,
}


def test_a_gaps_bound_is_a_share_and_only_calibration_has_no_ratio() -> None:
    ratio = {**{key: value for key, value in GAP_RULE.items() if key != "ceiling"}, "floor": 0.8}
    assert read(GAP_RULE).rules[0].bound == "ceiling"  # type: ignore[union-attr]
    assert read({**ratio, "measure": "equal_opportunity"}).rules[0].bound == "floor"  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="calibration has no ratio"):
        read(ratio)
    for value in (-0.5, 1.5):
        with pytest.raises(ConfigError, match="from 0 to 1"):
            read({**GAP_RULE, "ceiling": value})


def test_a_minimum_of_rows_is_from_one_to_a_billion() -> None:
    for rows in (1, 1_000_000_000):
        assert read({**GAP_RULE, "minimum_rows": rows}).rules[0].minimum_rows == rows  # type: ignore[union-attr]
    for rows in (0, 1_000_000_001):
        with pytest.raises(ConfigError, match="minimum_rows"):
            read({**GAP_RULE, "minimum_rows": rows})


@pytest.mark.parametrize("rate", [-0.1, 0.0, 0.5])
def test_a_rate_is_above_zero_and_below_a_half(rate: float) -> None:
    with pytest.raises(ConfigError, match=r"a rate above 0 and below 0\.5"):
        budget(false_promotion_rate=rate)


def test_a_holdout_serves_from_one_decision_to_a_hundred_thousand() -> None:
    for decisions in (1, 100_000):
        assert budget(decisions=decisions).decisions == decisions
    for decisions in (0, 100_001):
        with pytest.raises(ConfigError, match="decisions"):
            budget(decisions=decisions)


def test_a_policy_asks_for_a_scan_only_where_a_rule_requires_its_findings() -> None:
    lineage = {"name": "lineage", "kind": "require", "what": "lineage"}
    scan = {"name": "scan", "kind": "require", "what": "scan_findings", "severity": "high", "ceiling": 0}
    assert read(lineage, scan).asks_for_scan
    assert not read(RULE, lineage).asks_for_scan
