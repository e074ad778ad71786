"""Whether a rule fits what a model predicts: its metric or measure is one of the task, its bound within what it can be.

Reading a policy asks for no model, since an environment's rules hold for all of them. Synth asks this of each.
"""

from __future__ import annotations

from lockgate.errors import ConfigError
from lockgate.policy.rules import Bound, Compare, Gap, Limit, Rule, refuse_bound
from lockgate.tasks.kinds import Scale
from lockgate.tasks.target import Target
from lockgate.tasks.task import measures_of, metrics_of


def refuse_unfit(rule: Rule, target: Target, file: str) -> None:
    """Raises ConfigError: at the gate such a rule would be an error for each version, which no waiver can lift."""
    key = f"rule {rule.name!r}"
    if isinstance(rule, Limit):
        _refuse_unknown(rule.metric, list(metrics_of(target)), target, file, f"{key}.metric")
        refuse_bound(rule.bound, rule.value, rule.metric, metrics_of(target)[rule.metric].scale, file, key)
    elif isinstance(rule, Compare):
        _compare(rule, target, file, key)
    elif isinstance(rule, Gap):
        _gap(rule, target, file, key)


def _refuse_unknown(found: str, known: list[str], target: Target, file: str, key: str) -> None:
    if found not in known:
        raise ConfigError(file, key, found, f"one of a {target.task} model's: {', '.join(known)}")


def _compare(rule: Compare, target: Target, file: str, key: str) -> None:
    kinds = {name: kind for name, kind in metrics_of(target).items() if kind.compared}
    _refuse_unknown(rule.metric, list(kinds), target, file, f"{key}.metric")
    scale = kinds[rule.metric].scale
    widest = scale.highest - scale.lowest
    if not -widest <= rule.gain <= widest:
        ends = f"{rule.metric} lies from {scale.lowest:g} to {scale.highest:.6g}"
        raise ConfigError(file, f"{key}.gain", rule.gain, f"from -{widest:.6g} to {widest:.6g}: {ends}")


def _gap(rule: Gap, target: Target, file: str, key: str) -> None:
    measures, kinds = measures_of(target), metrics_of(target)
    _refuse_unknown(rule.measure, list(measures), target, file, f"{key}.measure")
    compared = [kinds[name] for name in measures[rule.measure]]
    floor: Bound = "floor"
    if rule.bound == floor and not all(kind.ratio for kind in compared):
        raise ConfigError(file, f"{key}.floor", rule.value, f"a ceiling: {rule.measure} has no ratio")
    widest = 1.0 if rule.bound == floor else max(kind.scale.highest - max(0.0, kind.scale.lowest) for kind in compared)
    refuse_bound(rule.bound, rule.value, rule.measure, Scale(0.0, widest, "neither"), file, key)
