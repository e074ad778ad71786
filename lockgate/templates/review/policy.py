"""What environments and the policies of models ask less or more of, and which parameters carry the live release.

The files are read as plain tables, so that two commits with different kinds of rules can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lockgate.templates.review.differ import StackChange
from lockgate.templates.review.finding import Finding, Risk

# Keys of a rule whose number has a direction: by these words a higher one asks more, by those less.
_HIGHER_ASKS_MORE = ("floor", "minimum", "confidence")
_LOWER_ASKS_MORE = ("ceiling", "maximum", "tolerance")
# Settings by which a change decides who is believed or where a release goes.
_DECISIVE = ("github", "evaluator", "promotion", "account", "images", "approvers", "tier")
# What a model's policy promises, and why it asks nothing about a protected attribute.
_PROMISES = ("assurance", "budget", "error", "no_fairness_rule")


def findings(base: Mapping[str, dict[str, Any]], head: Mapping[str, dict[str, Any]]) -> Iterator[Finding]:
    """base, head: the tables of environments/<name>.toml by name."""
    for name in sorted({*base, *head}):
        file = f"environments/{name}.toml"
        if name not in head:
            yield Finding(Risk.HIGH, "policy", file, "file", "is removed: the environment asks nothing any more")
        elif name not in base:
            yield Finding(Risk.MEDIUM, "policy", file, "file", "is new: a release will pass this environment")
        else:
            yield from _environment(file, base[name], head[name])


def of_models(base: Mapping[str, dict[str, Any]], head: Mapping[str, dict[str, Any]]) -> Iterator[Finding]:
    """base, head: the tables of model/<name>/policy.toml by name."""
    for name in sorted({*base, *head}):
        file = f"model/{name}/policy.toml"
        if name not in head:
            yield Finding(Risk.HIGH, "model", file, "file", "is removed: no gate decides about this model any more")
        elif name not in base:
            yield Finding(Risk.MEDIUM, "model", file, "file", "is new: gates will judge a model by it")
        else:
            yield from (replace(found, topic="model") for found in _environment(file, base[name], head[name]))


def of_owners(change: StackChange) -> Iterator[Finding]:
    """Who answers for a model, and its tier of risk, which demands rules of its policy; its package group has both."""
    for resource in change.resources:
        if resource.type != "AWS::SageMaker::ModelPackageGroup" or resource.base is None or resource.head is None:
            continue
        before, after = (
            {tag["Key"]: tag["Value"] for tag in side.get("Properties", side).get("Tags", [])}
            for side in (resource.base, resource.head)
        )
        for key, risk in (("lockgate:tier", Risk.HIGH), ("lockgate:owner", Risk.MEDIUM)):
            if before.get(key) != after.get(key):
                said = f"{key.split(':')[1]} {_value(before.get(key))} becomes {_value(after.get(key))}"
                yield Finding(risk, "model", change.stack, resource.id, said)


def _placed(rule: Mapping[str, Any]) -> str:
    """The name of a rule, with the environments in which it holds where it names them: elsewhere another may have it.

    A rule that holds elsewhere than before is removed and new.
    """
    places = rule.get("environments")
    return f"{rule.get('name')} of {', '.join(map(str, places))}" if isinstance(places, list) else str(rule.get("name"))


def _environment(file: str, base: dict[str, Any], head: dict[str, Any]) -> Iterator[Finding]:
    old, new = ({_placed(rule): rule for rule in side.get("rule", [])} for side in (base, head))
    for name in sorted({*old, *new}):
        if name not in new:
            yield Finding(Risk.HIGH, "policy", file, f"rule {name}", "loosened: the rule is removed")
        elif name not in old:
            yield Finding(Risk.LOW, "policy", file, f"rule {name}", f"tightened: the rule is new ({_said(new[name])})")
        else:
            for key in sorted({*old[name], *new[name]}):
                yield from _rule(file, name, key, old[name].get(key), new[name].get(key))
    before, after = (dict(_flat({k: v for k, v in side.items() if k != "rule"})) for side in (base, head))
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield from _setting(file, key, before.get(key), after.get(key))


def _rule(file: str, name: str, key: str, before: Any, after: Any) -> Iterator[Finding]:
    if before == after:
        return
    said = f"{key} {_value(before)} becomes {_value(after)}"
    upward = any(word in key for word in _HIGHER_ASKS_MORE)
    downward = any(word in key for word in _LOWER_ASKS_MORE)
    if upward == downward or not (_is_number(before) and _is_number(after)):
        yield Finding(Risk.HIGH, "policy", file, f"rule {name}", f"changed, compare them yourself: {said}")
    elif (after > before) == upward:
        yield Finding(Risk.LOW, "policy", file, f"rule {name}", f"tightened: {said}")
    else:
        yield Finding(Risk.HIGH, "policy", file, f"rule {name}", f"loosened: {said}")


def _setting(file: str, key: str, before: Any, after: Any) -> Iterator[Finding]:
    said = f"{_value(before)} becomes {_value(after)}"
    if key in ("approvals", "ledger.retention_days"):
        looser = not (_is_number(before) and _is_number(after)) or after < before
        yield Finding(
            Risk.HIGH if looser else Risk.LOW, "policy", file, key, ("loosened: " if looser else "tightened: ") + said
        )
    elif key.split(".")[0] in _PROMISES:
        yield Finding(Risk.HIGH, "policy", file, key, f"another promise, compare it yourself: {said}")
    elif key.split(".")[0] in _DECISIVE:
        yield Finding(Risk.HIGH, "policy", file, key, said)
    elif not key.startswith("service."):
        yield Finding(Risk.MEDIUM, "policy", file, key, said)


def releases(change: StackChange, *, new: bool, gone: bool) -> Iterator[Finding]:
    """Stacks that promotions update: their parameters are the live release."""
    if "-release-" not in change.stack or gone:
        return
    if new:
        text = "is new: a model that has no release yet; it answers 503 until one is promoted"
        yield Finding(Risk.LOW, "release", change.stack, "stack", text)
        return
    for parameter in change.parameters:
        if parameter.get("head") is None:
            text = "the parameter goes away, and with it what it says of the live release"
            yield Finding(Risk.HIGH, "release", change.stack, parameter["id"], text)
        elif parameter.get("base") is None:
            text = f"is a new parameter: the live release takes its default, {_value(parameter['head'].get('Default'))}"
            yield Finding(Risk.MEDIUM, "release", change.stack, parameter["id"], text)
        elif parameter["base"].get("Default") != parameter["head"].get("Default"):
            text = "another default: the live release keeps its value, a stack made anew takes this one"
            yield Finding(Risk.MEDIUM, "release", change.stack, parameter["id"], text)
    types = {resource.type for resource in change.resources if resource.impact != "NO_CHANGE"}
    if types & {"AWS::ECS::TaskDefinition", "AWS::ECS::Service"}:
        text = "the live release is deployed again with the same model, by cdk deploy and without a promotion"
        yield Finding(Risk.LOW, "release", change.stack, "service", text)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(value: Any) -> str:
    return "nothing" if value is None else str(value) or "empty"


def _said(rule: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in rule.items() if key not in ("name", "kind"))
