"""A team with few rows hears at synth what its gate cannot find, and one with many hears nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.configuration.model import read_model
from lockgate.policy.power import ENOUGH_ROWS, cannot_find
from lockgate.policy.rules import Compare, Gap, Limit, Policy, Require
from lockgate.statistics.budget import Assurance, Budget, Simple

TARGET = read_model(Path(__file__).parents[3] / "model" / "employment").target
RULES = (
    Limit("ranking", "roc_auc", "floor", 0.8),
    Compare("not worse", "accuracy", -0.01),
    Gap("fair", "equal_opportunity", "SEX", "ceiling", 0.1, 100),
    Require("lineage", "lineage", "ceiling", 0.0),
)
BUDGET = Budget(0.05, "policy", 100, "every-verdict")


def said(assurance: Assurance, rows: int) -> list[str]:
    return list(cannot_find(Policy(RULES, assurance), TARGET, rows))


def test_a_team_with_500_rows_is_told_for_each_rule_how_good_a_model_must_be_to_pass() -> None:
    ranking, compare, fair = said(Simple(0.05), 500)
    assert ranking.startswith("rule 'ranking': passes a model 0.05 on the right side of its bound, and none that is")
    assert compare.startswith("rule 'not worse': passes a model 0.05 on")
    assert fair.startswith("rule 'fair': needs about 1040 rows of each SEX")
    assert ranking.endswith("(of 500 rows, at error 0.05)")


def test_a_budget_for_a_hundred_decisions_finds_less_in_the_same_rows() -> None:
    assert [sentence.partition(" (")[0] for sentence in said(BUDGET, 500)[:2]] == [
        "rule 'ranking': passes none",
        "rule 'not worse': passes none",
    ]


@pytest.mark.parametrize("rows", [ENOUGH_ROWS, 69_126])
def test_a_team_with_many_rows_is_told_nothing(rows: int) -> None:
    assert said(Simple(0.05), rows) == []
