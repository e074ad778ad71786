"""What one model must show: model/<name>/policy.toml, beside the rules that an environment has for all models.

It is read at synth, and by functions from what was deployed with them. Nothing reads it from a commit under judgement.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.policy.rules import MOST_ROWS, Policy, Rule, read_budget, read_rule
from lockgate.statistics.budget import Assurance, Simple

ERROR = 0.05  # of one decision, where a policy with simple assurance says nothing


@dataclass(frozen=True)
class ModelPolicy:
    """The rules of one model and their assurance, which is the same in all environments: they judge the same rows.

    rules: each with the environments in which it holds; none named means all.
    no_fairness_rule: why no rule about a protected attribute decides; "" where rules do.
    holdout_rows: how many the holdout has, as far as the policy says; then synth says what the rules cannot find in it.
    """

    file: str
    assurance: Assurance
    rules: tuple[tuple[Rule, tuple[str, ...]], ...]
    no_fairness_rule: str = ""
    holdout_rows: int | None = None

    def in_environment(self, name: str, for_all: tuple[Rule, ...]) -> Policy:
        """The policy of this model in one environment; for_all: the environment's rules, which every model meets."""
        own = tuple(rule for rule, environments in self.rules if not environments or name in environments)
        return Policy((*own, *for_all), self.assurance)


def read_model_policy(folder: Path) -> ModelPolicy:
    """The policy of the model in this folder. Raises ConfigError."""
    table = Table.read(folder / "policy.toml", f"model/{folder.name}/policy.toml")
    rules = tuple(_placed(entry) for entry in table.tables("rule")) if table.has("rule") else ()
    holdout_rows = table.integer("holdout_rows", 1, MOST_ROWS) if table.has("holdout_rows") else None
    excuse = table.optional_text("no_fairness_rule") or ""
    policy = ModelPolicy(table.file, _assurance(table), rules, excuse, holdout_rows)
    table.finish()
    return policy


def _placed(table: Table) -> tuple[Rule, tuple[str, ...]]:
    environments = table.optional_names("environments", ())
    return read_rule(table), environments


def _assurance(table: Table) -> Assurance:
    if table.choice("assurance", ("simple", "budget"), "simple") == "budget":
        return read_budget(table.table("budget"))
    error = table.number("error", ERROR)
    if not 0 < error < 0.5:
        raise ConfigError(table.file, "error", error, "the probability of error of one decision, above 0 and below 0.5")
    return Simple(error)
