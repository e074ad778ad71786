"""A model's policy: what its rules say in each environment, and what does not fit the model fails synth."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lockgate.configuration.project import Configuration, read_configuration
from lockgate.errors import ConfigError
from lockgate.policy.of_model import read_model_policy
from lockgate.statistics.budget import Simple

ENVIRONMENTS = Path(__file__).parents[3] / "environments"
MODEL = """
description = "Who pays"
identifier = "person"
target = "pays"
owner = "team"
intended_use = "tests"
protected = ["SEX"]
[data]
train = "train.parquet"
holdout = "holdout.parquet"
[parameters]
[[feature]]
name = "SEX"
type = "category"
values = ["1", "2"]
"""
RANKING = '[[rule]]\nname = "ranking"\nkind = "limit"\nmetric = "roc_auc"\nfloor = 0.7\n'
FAIR = '[[rule]]\nname = "fair"\nkind = "limit"\nmetric = "accuracy"\nfloor = 0.7\nby = "SEX"\n'
GAP = """[[rule]]
name = "gap"
kind = "gap"
measure = "equal_opportunity"
by = "SEX"
ceiling = 0.1
minimum_rows = 10
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The environments of this repository and a model whose policy a test writes."""
    (tmp_path / "environments").mkdir()
    for file in ENVIRONMENTS.glob("*.toml"):
        (tmp_path / "environments" / file.name).write_text(file.read_text())
    (tmp_path / "model" / "credit").mkdir(parents=True)
    (tmp_path / "model" / "credit" / "model.toml").write_text(MODEL)
    (tmp_path / "model" / "credit" / "train.py").write_text("def train(rows, target, model): ...\n")
    return tmp_path


def read(root: Path, policy: str) -> Configuration:
    (root / "model" / "credit" / "policy.toml").write_text(policy)
    return read_configuration(root)


def rules(configuration: Configuration, environment: str) -> list[str]:
    found = next(each for each in configuration.environments if each.name == environment)
    return [rule.name for rule in configuration.policy(found, "credit").rules]


def test_a_rule_holds_in_the_environments_that_it_names_and_everywhere_where_it_names_none(root: Path) -> None:
    configuration = read(root, RANKING + FAIR + 'environments = ["staging", "prod"]\n')
    assert rules(configuration, "dev") == ["ranking", "lineage"]
    assert rules(configuration, "prod") == ["ranking", "fair", "lineage"]


def test_a_rule_may_say_something_else_in_each_environment_under_one_name(root: Path) -> None:
    both = RANKING + 'environments = ["dev"]\n' + RANKING + 'environments = ["staging", "prod"]\n'
    assert rules(read(root, both + FAIR), "dev") == ["ranking", "fair", "lineage"]


def test_each_decision_has_an_error_of_a_twentieth_where_the_policy_says_nothing(root: Path) -> None:
    assert read(root, RANKING + FAIR).policies["credit"].assurance == Simple(0.05)
    assert read(root, "error = 0.01\n" + RANKING + FAIR).policies["credit"].assurance == Simple(0.01)


def test_the_policy_is_one_value_with_one_digest_for_a_model_and_an_environment(root: Path) -> None:
    configuration = read(root, RANKING + FAIR + 'environments = ["prod"]\n')
    digests = [configuration.policy(each, "credit").sha256 for each in configuration.environments]
    assert len(set(digests)) == 2
    assert digests[0] == digests[1], "dev and staging ask the same"
    again = read_model_policy(root / "model" / "credit").in_environment("prod", configuration.environments[-1].rules)
    assert again.sha256 == digests[-1]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (RANKING + RANKING + FAIR, "rule.name: found 'ranking', expected each name once in dev"),
        (
            RANKING.replace("ranking", "lineage") + FAIR,
            "rule.name: found 'lineage', expected each name once in dev; environments/dev.toml has it for every model",
        ),
        (RANKING + FAIR + 'environments = ["pord"]', "rule 'fair'.environments: found 'pord', expected names of env"),
        (RANKING + FAIR + "environments = []", "rule[1].environments: found [], expected at least one text"),
        (FAIR.replace("SEX", "AGE"), "rule 'fair'.by: found 'AGE', expected an attribute that the model protects"),
        (RANKING, "rule: found 'no deciding rule for prod by SEX', expected a rule `by` each protected attribute"),
        (FAIR + "dry_run = true", "rule: found 'no deciding rule for prod by SEX'"),
        *(
            (rule, "rule: found 'no deciding rule for prod by SEX'")
            for rule in (
                FAIR.replace("0.7", "0.0"),
                FAIR + 'decide = "estimate"',
                FAIR + 'group = "1"',
                FAIR + 'leave_out = ["1"]',
                RANKING + GAP.replace("0.1", "1.0"),
                RANKING + GAP + 'leave_out = ["1"]',
            )
        ),
        (FAIR + 'environments = ["dev"]', "rule: found 'no deciding rule for prod by SEX'"),
        ('no_fairness_rule = "trust us"\n' + FAIR, "no_fairness_rule: found 'trust us', expected not this key"),
        ('assurance = "full"\n' + FAIR, "assurance: found 'full', expected one of simple, budget"),
        ('assurance = "budget"\n' + FAIR, "budget: found nothing"),
        ('assurance = "budget"\nerror = 0.05\n' + FAIR, "budget: found nothing"),
        ("error = 0.5\n" + FAIR, "error: found 0.5, expected the probability of error of one decision"),
        ("error = 0\n" + FAIR, "error: found 0.0"),
        ("flor = 1\n" + FAIR, "flor: found 1, expected no such key"),
    ],
)
def test_a_mistake_in_a_policy_is_named_with_file_and_key(root: Path, policy: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(root, policy)
    assert str(caught.value).startswith(f"model/credit/policy.toml: {message}")


def test_a_model_without_a_policy_fails_synth(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"model/credit/policy.toml: file: found no such file"):
        read_configuration(root)


def test_a_model_may_say_why_no_rule_decides_about_an_attribute(root: Path) -> None:
    said = 'no_fairness_rule = "a group of 12 people decides nothing; reviewed by hand each quarter"\n'
    assert read(root, said + RANKING).policies["credit"].no_fairness_rule.startswith("a group of 12")


def test_an_environment_in_which_nothing_decides_fails_synth(root: Path) -> None:
    for file in (root / "environments").glob("*.toml"):
        file.write_text(file.read_text().partition("\n# What every model must show")[0])
    with pytest.raises(ConfigError, match="rule: found 'none', expected a rule for dev that is no dry run"):
        read(root, RANKING + 'environments = ["staging"]\n' + FAIR + 'environments = ["staging", "prod"]\n')


def in_tier(root: Path, demands: str) -> None:
    tools, model = root / "environments" / "tools.toml", root / "model" / "credit" / "model.toml"
    tools.write_text(f"{tools.read_text()}\n[tier.severe]\nrequires = [{demands}]\n")
    model.write_text('tier = "severe"\n' + model.read_text())


@pytest.mark.parametrize("demands", ['"limit"', '"lineage", "approvals"'])
def test_what_a_tier_demands_may_be_met_by_the_model_or_the_environment(root: Path, demands: str) -> None:
    in_tier(root, demands)
    assert read(root, RANKING + FAIR).models[0].tier == "severe"


@pytest.mark.parametrize("demand", ["budget", "compare", "gap", "scan_findings"])
def test_a_policy_that_asks_less_than_its_tier_demands_fails_synth(root: Path, demand: str) -> None:
    in_tier(root, f'"{demand}"')
    with pytest.raises(ConfigError, match=f"policy.toml: rule: .* expected {demand} too: tier 'severe' of"):
        read(root, RANKING + FAIR)


@pytest.mark.parametrize(
    ("key", "expected"), [("owner", "who answers for the model"), ("intended_use", "what its predictions are for")]
)
def test_a_model_without_an_owner_or_an_intended_use_fails_synth(root: Path, key: str, expected: str) -> None:
    file = root / "model" / "credit" / "model.toml"
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith(key)))
    with pytest.raises(ConfigError, match=f"model/credit/model.toml: {key}: found nothing, expected {expected}"):
        read(root, RANKING + FAIR)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "model/credit/model.toml",
            'tier = "hihg"',
            "tier: found 'hihg', expected a tier of environments/tools.toml: lim",
        ),
        (
            "environments/tools.toml",
            '[tier.x]\nrequires = ["gaps"]',
            "tier.x.requires: found 'gaps', expected of budget",
        ),
        ("environments/tools.toml", "[tier.x]\nrequire = 1", "tier.x.requires: found nothing"),
    ],
)
def test_a_mistake_about_tiers_is_named(root: Path, file: str, text: str, message: str) -> None:
    (root / file).write_text(
        f"{text}\n{(root / file).read_text()}" if "model" in file else f"{(root / file).read_text()}\n{text}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read(root, RANKING + FAIR)
    assert str(caught.value).startswith(f"{file}: {message}")


def test_a_policy_that_looks_at_no_row_is_refused(root: Path) -> None:
    """Lineage, which every model meets, would let any model through."""
    model = root / "model" / "credit" / "model.toml"
    model.write_text(model.read_text().replace('protected = ["SEX"]', "protected = []"))
    with pytest.raises(ConfigError, match="none that looks at a row of the holdout"):
        read(root, "error = 0.01\n")


def test_two_models_of_one_holdout_have_a_budget_both_or_neither(root: Path) -> None:
    budget = 'assurance = "budget"\n[budget]\nfalse_promotion_rate = 0.05\nscope = "policy"\ndecisions = 10\n'
    budget += 'feedback = "every-verdict"\n'
    shutil.copytree(root / "model" / "credit", root / "model" / "twin")
    (root / "model" / "twin" / "policy.toml").write_text(RANKING + FAIR)
    with pytest.raises(ConfigError, match=r"twin/policy\.toml: assurance: found 'simple, on the holdout"):
        read(root, budget + RANKING + FAIR)
    assert read(root, RANKING + FAIR)


@pytest.mark.parametrize("rule", [FAIR, GAP, GAP.replace("ceiling = 0.1", "floor = 0.8")])
def test_a_rule_that_can_stop_a_version_because_of_any_group_decides_about_the_attribute(root: Path, rule: str) -> None:
    assert "ranking" in rules(read(root, RANKING + rule), "prod")


@pytest.mark.parametrize(
    "rule", [RANKING.replace("0.7", "0"), '[[rule]]\nname = "c"\nkind = "compare"\nmetric = "accuracy"\ngain = -1\n']
)
def test_a_bound_that_nothing_can_miss_is_no_look_at_rows(root: Path, rule: str) -> None:
    with pytest.raises(ConfigError, match="none that looks at a row of the holdout"):
        read(root, rule + GAP)
