"""What a plan says is enough is enough: by simulation with the bounds that decide."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from lockgate.evidence.document import BINARY_TARGET
from lockgate.policy.of_model import read_model_policy
from lockgate.policy.planning import Guess, plan
from lockgate.policy.rules import Compare, Gap, Limit, Require, Rule
from lockgate.statistics import binomial, gaps, paired
from lockgate.statistics.budget import Budget, smallest_level
from lockgate.tasks.target import Target
from lockgate.tasks.task import metrics_of

GUESS = Guess(difference=0.02, disagreement=0.05, rate=0.5, deviation=0.3, power=0.8)
ALPHA = 1e-3


def rows(rule: Rule) -> int:
    need = plan(rule, ALPHA, GUESS, BINARY_TARGET).need
    assert need is not None
    return need.rows


@pytest.mark.parametrize(("bound", "value", "true"), [("floor", 0.8, 0.82), ("ceiling", 0.2, 0.18)])
def test_a_rate_passes_its_limit_as_often_as_planned(bound: str, value: float, true: float) -> None:
    n = rows(Limit("r", "accuracy", bound, value))  # type: ignore[arg-type]
    hits = np.random.default_rng(1).binomial(n, true, 500).tolist()
    if bound == "floor":
        passed = [binomial.lower_bound(k, n, ALPHA) >= value for k in hits]
    else:
        passed = [binomial.upper_bound(k, n, ALPHA) <= value for k in hits]
    assert 0.74 < np.mean(passed) < 0.88


def test_a_challenger_passes_as_often_as_planned_and_only_rows_that_differ_need_a_label() -> None:
    need = plan(Compare("c", "accuracy", -0.01), ALPHA, GUESS, BINARY_TARGET).need
    assert need is not None
    assert need.labels == pytest.approx(0.05 * need.rows, abs=1)
    drawn = np.random.default_rng(2).multinomial(need.rows, [0.03, 0.02, 0.95], 500).tolist()
    assert 0.74 < np.mean([paired.lower_bound(w, x, need.rows, ALPHA) >= -0.01 for w, x, _ in drawn]) < 0.9


@pytest.mark.parametrize(("bound", "value"), [("ceiling", 0.1), ("floor", 0.8)])
def test_two_groups_that_are_treated_alike_pass_at_least_as_often_as_planned(bound: str, value: float) -> None:
    n = rows(Gap("g", "demographic_parity", "SEX", bound, value, 10))  # type: ignore[arg-type]
    drawn = np.random.default_rng(4).binomial(n, 0.5, (300, 2)).tolist()
    if bound == "ceiling":
        found = [gaps.difference(a, n, b, n, ALPHA) for a, b in drawn]
        passed = [max(each.high, -each.low) <= value for each in found]
    else:
        passed = [min(gaps.ratio(a, n, b, n, ALPHA).low, gaps.ratio(b, n, a, n, ALPHA).low) >= value for a, b in drawn]
    assert np.mean(passed) > 0.75


def test_every_kind_of_rule_is_planned() -> None:
    rules: list[Rule] = [Limit("m", metric, "floor", 0.8) for metric in ("roc_auc", "precision", "accuracy")]
    rules += [Limit("m", metric, "ceiling", 0.4) for metric in ("roc_auc", "log_loss", "brier")]
    rules += [Compare("c", metric, 0.0) for metric in ("roc_auc", "accuracy", "log_loss", "brier")]
    rules += [Gap("g", m, "SEX", "ceiling", 0.1, 10) for m in ("equal_opportunity", "equalised_odds", "calibration")]
    assert all(rows(rule) > 100 for rule in rules)
    assert plan(Require("l", "lineage", "ceiling", 0), ALPHA, GUESS, BINARY_TARGET).need is None
    assert rows(Gap("g", "equal_opportunity", "SEX", "ceiling", 0.1, 10**6)) == 10**6


@pytest.mark.parametrize(
    "target",
    [
        BINARY_TARGET,
        Target("y", "multiclass", ("a", "b", "c", "d"), {}),
        Target("y", "regression", (), {"minimum": 0.0, "maximum": 1.0, "cap": 0.5}),
    ],
)
def test_every_metric_of_every_task_is_planned(target: Target) -> None:
    for metric, kind in metrics_of(target).items():
        bound = "ceiling" if kind.scale.better == "lower" else "floor"
        rules: list[Rule] = [Limit("m", metric, bound, 0.3 if bound == "ceiling" else 0.7)]
        rules += [Compare("c", metric, 0.0)] if kind.compared else []
        for rule in rules:
            need = plan(rule, ALPHA, GUESS, target).need
            assert need is not None, rule
            assert 50 < need.rows < 10**7, rule


def test_a_planned_policy_says_what_32_decisions_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "plan", "--decisions", "32", "--env", "dev", "--json"]) == 0
    few = json.loads(capsys.readouterr().out)
    assert main(["policy", "plan", "--decisions", "32", "--env", "dev"]) == 0
    said = capsys.readouterr().out
    budget = Budget(0.05, "policy", 32, "every-verdict")
    assert few["alpha"] == smallest_level(budget, 1)
    compare = plan(Compare("c", "accuracy", -0.01), few["alpha"], Guess(0.01, 0.05, 0.5, 0.3, 0.8), BINARY_TARGET).need
    assert compare is not None
    assert few["rules"][1] == {
        "rule": "not worse than what is served",
        "of": "rows of the holdout",
        "rows": compare.rows,
        "labels": compare.labels,
    }
    assert f"{compare.rows:,} rows of the holdout, {compare.labels:,} labelled" in said
    assert main(["policy", "plan", "--decisions", "200", "--env", "dev", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"][1]["rows"] > compare.rows


@pytest.mark.parametrize("wrong", [("--decisions", "0"), ("--rate", "0"), ("--rate", "0.5"), ("--holdout", "0")])
def test_a_plan_of_a_budget_that_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]
) -> None:
    assert main(["policy", "plan", *wrong]) == 1
    assert "policy plan: " in capsys.readouterr().err


def test_the_plan_of_a_regression_does_not_depend_on_its_unit() -> None:
    """A price in cents needs as many rows as one in millions, and no more than somebody can have."""

    def needed(scale: float) -> list[int]:
        target = Target("price", "regression", (), {"minimum": 0.0, "maximum": 40 * scale, "cap": 4 * scale})
        rules: list[Rule] = [Limit("m", metric, "ceiling", scale) for metric in ("mae", "capped_error", "rmse")]
        rules += [Compare("c", metric, -0.2 * scale) for metric in ("mae", "capped_error", "rmse")]
        rules += [Gap("g", "error", "SEX", "ceiling", scale, 10)]
        found = [plan(rule, 0.05, replace(GUESS, difference=0.1), target).need for rule in rules]
        return [need.rows for need in found if need]

    assert needed(1.0) == needed(250.0) == needed(1e6)
    assert len(needed(1.0)) == 7
    assert 100 < min(needed(1.0)) < max(needed(1.0)) < 1_000_000


def test_a_policy_is_proposed_for_a_model_that_is_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["policy", "plan", "--propose"]) == 0
    (tmp_path / "policy.toml").write_text(capsys.readouterr().out)
    policy = read_model_policy(tmp_path)
    assert policy.holdout_rows == 69126
    assert {rule.by for rule, _ in policy.rules if isinstance(rule, Gap)} == {"SEX", "RAC1P"}
