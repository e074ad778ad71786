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
    refuse_bound(rule.bound, rule.value, rule.measure, _gap_scale(rule, target), file, key)


def _gap_scale(rule: Gap, target: Target) -> Scale:
    """From no gap to the widest one; of a floor, from no ratio to the same in both groups."""
    scales = [metrics_of(target)[name].scale for name in measures_of(target)[rule.measure]]
    widest = 1.0 if rule.bound == "floor" else max(scale.highest - max(0.0, scale.lowest) for scale in scales)
    return Scale(0.0, widest, "neither")


def binds(rule: Rule, target: Target) -> bool:
    """Whether some rows would break the rule: a floor of 0 for a rate, or a ceiling of 1, keeps nothing out.

    The rule fits the target.
    """
    if isinstance(rule, Compare):
        scale = metrics_of(target)[rule.metric].scale
        return rule.gain > scale.lowest - scale.highest
    if not isinstance(rule, Limit | Gap):
        return True
    scale = _gap_scale(rule, target) if isinstance(rule, Gap) else metrics_of(target)[rule.metric].scale
    return rule.value > scale.lowest if rule.bound == "floor" else rule.value < scale.highest
