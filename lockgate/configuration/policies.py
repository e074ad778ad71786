"""Whether the policy of a model fits the model and the environments: what would be an error at its gate fails synth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lockgate.configuration.environment import Environment
from lockgate.configuration.groups import can_be, described, groups_of
from lockgate.configuration.model import Feature, Model
from lockgate.errors import ConfigError
from lockgate.policy.fit import binds, refuse_unfit
from lockgate.policy.of_model import ModelPolicy
from lockgate.policy.rules import Compare, Gap, Limit, Policy, Require, Rule


def refuse_misfits(
    policy: ModelPolicy, model: Model, environments: Sequence[Environment], tiers: Mapping[str, Sequence[str]]
) -> None:
    """The rules that hold for a model must be ones that its rows can answer, in every environment. Raises ConfigError.

    At the gate such a rule would be an error for each version, which no waiver can lift.
    """
    known = [environment.name for environment in environments]
    for rule, named in policy.rules:
        for wrong in sorted(set(named) - set(known)):
            expected = f"names of environments: {', '.join(known)}"
            raise ConfigError(policy.file, f"rule {rule.name!r}.environments", wrong, expected)
    for environment in environments:
        effective = policy.in_environment(environment.name, environment.rules)
        _refuse_no_rules(policy.file, environment, effective)
        for rule in effective.rules:
            for_all = any(rule is each for each in environment.rules)
            file = f"environments/{environment.name}.toml" if for_all else policy.file
            refuse_unfit(rule, model.target, file)
            _refuse_unknown_groups(rule, file, model)
    _refuse_unjudged_attributes(policy, model, environments[-1])
    _refuse_no_rows(policy, model, environments[-1])
    _refuse_less_than_its_tier(policy, model, environments[-1], tiers)


def _refuse_no_rules(file: str, environment: Environment, policy: Policy) -> None:
    """Each environment has a rule that decides, and each rule a name of its own: waivers are for names."""
    if all(rule.dry_run for rule in policy.rules):
        raise ConfigError(file, "rule", "none", f"a rule for {environment.name} that is no dry run")
    names = [rule.name for rule in policy.rules]
    for name in names:
        if names.count(name) > 1:
            by_all = name in [rule.name for rule in environment.rules]
            expected = f"each name once in {environment.name}"
            expected += f"; environments/{environment.name}.toml has it for every model" if by_all else ""
            raise ConfigError(file, "rule.name", name, expected)


def _deciding(policy: ModelPolicy, model: Model, last: Environment) -> list[Rule]:
    """The rules before the last environment that are no dry runs and that some rows would break."""
    rules = policy.in_environment(last.name, last.rules).rules
    return [rule for rule in rules if not rule.dry_run and binds(rule, model.target)]


def _refuse_no_rows(policy: ModelPolicy, model: Model, last: Environment) -> None:
    """Some rule looks at rows before the last environment: lineage alone would let any model through."""
    if not any(isinstance(rule, Limit | Compare) for rule in _deciding(policy, model, last)):
        expected = f"a limit or a comparison with the champion that decides for {last.name}"
        raise ConfigError(policy.file, "rule", "none that looks at a row of the holdout", expected)


def _refuse_unknown_groups(rule: Rule, file: str, model: Model) -> None:
    """A rule's `by` is a protected attribute of the model, and its groups are values that rows can have."""
    if not isinstance(rule, Limit | Gap) or not rule.by:
        return
    key = f"rule {rule.name!r}"
    if rule.by not in model.protected:
        known = ", ".join(model.protected) or "none"
        expected = f"an attribute that the model protects (model/{model.name}/model.toml protects: {known})"
        raise ConfigError(file, f"{key}.by", rule.by, expected)
    column = next(each for each in model.grouped if each.name == rule.by)
    named = [("leave_out", value) for value in rule.leave_out]
    if isinstance(rule, Limit) and rule.group:
        named.append(("group", rule.group))
    for name, value in named:
        if not can_be(column, value):
            expected = f"a value that {rule.by} can have by model/{model.name}/model.toml: {described(column)}"
            raise ConfigError(file, f"{key}.{name}", value, expected)


def _refuse_unjudged_attributes(policy: ModelPolicy, model: Model, last: Environment) -> None:
    """A rule decides about each protected attribute before the last environment, or the policy says why none does."""
    rules = _deciding(policy, model, last)
    unjudged = [each.name for each in model.grouped if not any(_judges_groups(rule, each) for rule in rules)]
    if unjudged and not policy.no_fairness_rule:
        found = f"no deciding rule for {last.name} by {', '.join(unjudged)}"
        expected = (
            "a rule `by` each protected attribute that can stop a version because of any group: no dry run, no "
            'estimate, no `group`, and a bound that can be missed; or `no_fairness_rule = "why"`'
        )
        raise ConfigError(policy.file, "rule", found, expected)
    if policy.no_fairness_rule and not unjudged:
        expected = "not this key: a rule decides about every protected attribute"
        raise ConfigError(policy.file, "no_fairness_rule", policy.no_fairness_rule, expected)


def _judges_groups(rule: Rule, column: Feature) -> bool:
    """Whether a deciding rule can stop a version because of any of two groups or more."""
    if not isinstance(rule, Limit | Gap) or rule.by != column.name:
        return False
    if isinstance(rule, Limit) and (rule.group or rule.decide != "interval"):
        return False
    return len(set(groups_of(column)) - set(rule.leave_out)) > 1


def _refuse_less_than_its_tier(
    policy: ModelPolicy, model: Model, last: Environment, tiers: Mapping[str, Sequence[str]]
) -> None:
    """What the model's tier of risk demands decides before the last environment; approvals may be the environment's."""
    if not model.tier:
        return
    if model.tier not in tiers:
        expected = f"a tier of environments/tools.toml: {', '.join(tiers) or 'it has none'}"
        raise ConfigError(f"model/{model.name}/model.toml", "tier", model.tier, expected)
    rules = _deciding(policy, model, last)
    met: set[str] = {policy.assurance.LEVEL, *(rule.kind for rule in rules)}
    met |= {rule.what.partition(":")[0] for rule in rules if isinstance(rule, Require)}
    met |= {"approvals"} if last.approvals else set()
    missing = [demand for demand in tiers[model.tier] if demand not in met]
    if missing:
        expected = (
            f"{', '.join(missing)} too: tier {model.tier!r} of environments/tools.toml demands it for {last.name}"
        )
        raise ConfigError(policy.file, "rule", sorted(met), expected)
