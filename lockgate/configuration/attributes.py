"""Whether the attributes and groups that a policy names exist in the models that it judges."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.configuration.model import Feature, Model
from lockgate.errors import ConfigError
from lockgate.policy.rules import Gap, Limit, Policy

NULL = "null"  # the group of the rows whose value is missing


def refuse_unknown_groups(policy: Policy, file: str, models: Sequence[Model]) -> None:
    """Each rule's `by` must be a protected attribute of every model, and its groups values that rows can have.

    Raises ConfigError: at the gate such a rule would be an error for each version, which no waiver can lift.
    """
    for rule in policy.rules:
        if not isinstance(rule, Limit | Gap) or not rule.by:
            continue
        key = f"rule {rule.name!r}"
        for model in models:
            if rule.by not in model.protected:
                known = ", ".join(model.protected) or "none"
                expected = f"an attribute that every model protects (model/{model.name}/model.toml protects: {known})"
                raise ConfigError(file, f"{key}.by", rule.by, expected)
            feature = next(each for each in model.features if each.name == rule.by)
            named = [("leave_out", value) for value in rule.leave_out]
            if isinstance(rule, Limit) and rule.group:
                named.append(("group", rule.group))
            for name, value in named:
                if not _can_be(feature, value):
                    expected = f"a value that {rule.by} can have by model/{model.name}/model.toml: {_values(feature)}"
                    raise ConfigError(file, f"{key}.{name}", value, expected)


def _can_be(feature: Feature, value: str) -> bool:
    """Whether the group of this name can have rows: the evaluator names a group by its value as text."""
    if value == NULL and feature.null_share > 0:
        return True
    if feature.type == "category":
        return value in feature.values
    try:
        number = int(value) if feature.type == "integer" else float(value)
    except ValueError:
        return False
    if feature.minimum is None or feature.maximum is None:
        return False
    return feature.minimum <= number <= feature.maximum and str(number) == value


def _values(feature: Feature) -> str:
    if feature.type == "category":
        said = ", ".join(feature.values)
    else:
        said = f"{'an integer' if feature.type == 'integer' else 'a number'} {feature.minimum:g} to {feature.maximum:g}"
    return f"{said}, {NULL}" if feature.null_share > 0 else said
