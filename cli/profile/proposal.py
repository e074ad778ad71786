"""Rules that a holdout of this size can decide about, from what a first run measured on training rows.

A rule's bound is what nineteen of twenty holdouts of that many rows would show of a version as good as this one, at the
error of one decision: the interval is the gate's own, on rows drawn from those that were predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, isfinite, log10
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cli.profile.first_run import FirstRun
from cli.profile.written import plain, text
from lockgate.errors import EvidenceError
from lockgate.evidence.document import Group
from lockgate.evidence.measurement import Unmeasured, gaps
from lockgate.policy.of_model import ERROR
from lockgate.tasks.target import BINARY, Target
from lockgate.tasks.task import metrics_of
from runtime.tasks.arrays import ModelAnswers, arrays_of

POWER = 0.95
DRAWS, DRAWN_ROWS = 40, 1_000_000  # as many holdouts, of fewer where they are large
RARE = 0.2  # a class with less says little in accuracy
EACH_CLASS = 20  # rows of a holdout, for a rule about every class
LONG_TAIL = 8.0  # mean errors that fit in the declared range
FEWEST_ROWS = 30  # of a group, below which nothing is said about it
WIDEST_GAP = 0.5
MOST_LEFT_OUT = 0.05  # of the rows, in groups that are too small


@dataclass(frozen=True)
class Proposed:
    """One [[rule]]: its keys in order, and what its bound comes from."""

    keys: Mapping[str, object]
    why: str


@dataclass(frozen=True)
class PolicyProposal:
    """rules, and what no rule can find out; excuse: `no_fairness_rule`, "" where rules are there or nobody is."""

    holdout_rows: int
    rules: tuple[Proposed, ...]
    excuse: str
    blind: tuple[str, ...]
    measured: Mapping[str, float]


def with_cap(target: Target, run: FirstRun) -> Target:
    """A regression whose range is much wider than its errors gets a cap, or every bound on them would be useless."""
    if target.task != "regression" or "cap" in target.numbers:
        return target
    errors = np.abs(run.one - run.truth)
    cap = _up(float(np.quantile(errors, 0.99)))
    if not 0 < cap < target.unit / 2 or target.unit < LONG_TAIL * float(errors.mean()):
        return target
    return replace(target, numbers={**target.numbers, "cap": cap})


def proposed(run: FirstRun, target: Target, protected: Sequence[str], holdout_rows: int) -> PolicyProposal:
    draws = _draws(len(run.truth), holdout_rows)
    measured = arrays_of(target).measure(run.truth, run.one, target, 0.5 if target.task == BINARY else None)
    blind: list[str] = []
    rules = [*_limits(run, target, draws, blind), *_comparison(run, target, draws, blind)]
    fair, excuses = [], []
    for attribute in protected:
        rule, excuse = _fairness(run, target, attribute, draws, holdout_rows)
        fair += [rule] if rule else []
        excuses += [excuse] if excuse else []
    names = (*(str(rule.keys["metric"]) for rule in rules), *_shown(target))
    return PolicyProposal(
        holdout_rows,
        (*rules, *fair),
        " ".join(excuses),
        tuple(blind),
        {name: measured[name].value for name in dict.fromkeys(names) if name in measured},
    )


def _shown(target: Target) -> tuple[str, ...]:
    return ("mae", "r2") if target.task == "regression" else ("accuracy",)


def _draws(rows: int, holdout_rows: int) -> list[npt.NDArray[np.intp]]:
    """Places of rows, for each holdout that is drawn; always the same.

    Each is drawn from another draw of the rows that were predicted, since these are a sample too.
    """
    random = np.random.default_rng(16)
    count = max(10, min(DRAWS, DRAWN_ROWS // holdout_rows))
    return [random.integers(0, rows, rows)[random.integers(0, rows, holdout_rows)] for _ in range(count)]


def _limits(run: FirstRun, target: Target, draws: list[Any], blind: list[str]) -> Iterator[Proposed]:
    """One floor or ceiling, of the task's most telling metric that the rows can show."""
    arrays, threshold = arrays_of(target), 0.5 if target.task == BINARY else None
    name, chance = _telling(run, target, draws)
    kind = metrics_of(target)[name]
    lower = kind.scale.better == "lower"

    def end(places: Any) -> float:
        metrics = arrays.measure(run.truth[places], run.one[places], target, threshold)
        if name not in metrics:
            return float("inf") if lower else float("-inf")
        interval = kind.interval(name, metrics[name], ERROR)
        return interval.high if lower else interval.low

    value = arrays.measure(run.truth, run.one, target, threshold)[name].value
    bound = _reached(draws, end, lower)
    worthless = not (value < chance if lower else value > chance)
    if worthless:
        blind.append(f"this first model is no better than guessing: {name} {value:.4g}, and {chance:.4g} by guessing")
    bound = (_up(bound) if lower else _down(bound)) if isfinite(bound) else chance
    if not (bound < chance if lower else bound > chance):
        bound = _down(chance) if lower else _up_share(chance)
        blind.append(f"{len(draws[0])} rows cannot tell it from guessing by {name}: draw a larger holdout")
    bound = min(max(bound, kind.scale.lowest), kind.scale.highest)
    keys = {"name": f"good enough by {name.replace('_', ' ')}", "kind": "limit", "metric": name}
    why = f"measured {value:.4g} by cross-validation; guessing reaches {chance:.4g}"
    yield Proposed({**keys, "ceiling" if lower else "floor": bound}, why)


def _telling(run: FirstRun, target: Target, draws: list[Any]) -> tuple[str, float]:
    """The metric, and what it is for a model that guesses."""
    if target.task == BINARY:
        return "roc_auc", 0.5
    if target.task == "multiclass":
        counts = np.bincount(run.truth, minlength=len(target.classes))
        if counts.min() / len(run.truth) * len(draws[0]) >= EACH_CLASS:
            return "balanced_accuracy", 1 / len(target.classes)
        return "accuracy", float(counts.max() / len(run.truth))
    errors = np.abs(run.truth - np.median(run.truth))
    cap = target.numbers.get("cap")
    return ("capped_error", float(np.minimum(errors, cap).mean())) if cap else ("mae", float(errors.mean()))


def _comparison(run: FirstRun, target: Target, draws: list[Any], blind: list[str]) -> Iterator[Proposed]:
    arrays, threshold = arrays_of(target), 0.5 if target.task == BINARY else None
    name = "accuracy"
    if target.task == BINARY and min(run.truth.mean(), 1 - run.truth.mean()) < RARE:
        name = "roc_auc"
    if target.task == "regression":
        name = "capped_error" if "cap" in target.numbers else "mae"
    kind = metrics_of(target)[name]
    lower = kind.scale.better == "lower"

    def end(places: Any) -> float:
        truth, one, other = run.truth[places], run.one[places], run.other[places]
        both = [arrays.measure(truth, each, target, threshold).get(name) for each in (one, other)]
        sums = arrays.paired(truth, ModelAnswers(one, threshold), ModelAnswers(other, threshold), target).get(name)
        if both[0] is None or both[1] is None or sums is None:
            return float("-inf")
        found = kind.difference(name, both[0], both[1], sums, ERROR)
        # Of two versions that are equally good, only the width counts, and not which of them was lucky.
        return -abs(found.interval.high - found.value) if lower else -abs(found.value - found.interval.low)

    widest = kind.scale.highest - kind.scale.lowest
    found = _reached(draws, end, False)
    gain = -_up(-found) if isfinite(found) and found < 0 else -widest / 2
    gain = max(gain, -widest)
    if -gain >= widest / 4:
        blind.append(f"{len(draws[0])} rows find no version that is worse than what is served by less than {-gain:g}")
    keys = {"name": "not worse than what is served", "kind": "compare", "metric": name, "gain": gain}
    yield Proposed(keys, f"two versions that are equally good differ by less, {POWER:.0%} of the time")


def _fairness(
    run: FirstRun, target: Target, attribute: str, draws: list[Any], holdout_rows: int
) -> tuple[Proposed | None, str]:
    """A rule about the groups of an attribute, or why there is none."""
    if attribute not in run.table.column_names:
        return None, f"{attribute}: the training rows do not have it, so nothing was measured by it."
    measure = {BINARY: "equal_opportunity", "multiclass": "accuracy"}.get(target.task, "error")
    values = pc.fill_null(run.table[attribute].cast(pa.string()), "null").to_numpy(zero_copy_only=False).astype(str)
    names, counts = np.unique(values, return_counts=True)
    expected = {str(name): count * holdout_rows / len(values) for name, count in zip(names, counts, strict=True)}
    small = [name for name, rows in expected.items() if rows < FEWEST_ROWS]
    large = [name for name in expected if name not in small]
    if len(large) < 2:
        return None, f"{attribute}: the holdout has fewer than {FEWEST_ROWS} rows of all groups but one."
    arrays, threshold = arrays_of(target), 0.5 if target.task == BINARY else None

    def end(places: Any) -> float:
        groups = {}
        for name in large:
            chosen = places[values[places] == name]
            if not len(chosen):
                return float("inf")
            metrics = arrays.measure(run.truth[chosen], run.one[chosen], target, threshold)
            groups[name] = Group(len(chosen), metrics)
        found = [gap.measured for gap in gaps(measure, "ceiling", groups, ERROR, target)]
        if any(isinstance(each, Unmeasured) for each in found):
            return float("inf")
        return max(each.interval.high for each in found if not isinstance(each, Unmeasured))

    unit = 1.0 if target.classes else target.unit
    large.sort(key=lambda name: -expected[name])
    while True:
        try:
            ceiling = _reached(draws, end, True)
        except EvidenceError:
            ceiling = float("inf")
        if ceiling <= WIDEST_GAP * unit:
            break
        small.append(large.pop())
        if len(large) < 2 or sum(expected[name] for name in small) > MOST_LEFT_OUT * holdout_rows:
            return None, (
                f"{attribute}: with {holdout_rows} rows, groups that are treated alike could differ in {measure} by "
                f"half of what is possible, so a rule would find nothing."
            )
    keys: dict[str, object] = {"name": f"{measure.replace('_', ' ')} by {attribute}", "kind": "gap", "measure": measure}
    keys |= {"by": attribute, "ceiling": ceil(ceiling * 20) / 20 if target.classes else _up(ceiling)}
    keys["minimum_rows"] = max(1, int(min(expected[name] for name in large) * 0.7))
    if small:
        keys["leave_out"] = sorted(small)
    found = end(np.arange(len(values)))
    why = f"on training rows at most {found:.2g}; the holdout shows no less: lower it to what you defend"
    return Proposed(keys, why), ""


def _reached(draws: list[Any], end: Callable[[Any], float], lower: bool) -> float:
    """The end that POWER of the drawn holdouts reach."""
    ends = sorted(end(places) for places in draws)
    place = ceil(POWER * len(ends)) - 1
    return ends[place] if lower else ends[len(ends) - 1 - place]


def _down(value: float) -> float:
    """Rounded to two digits towards the worse side of a floor; shares near 1 to what they leave to 1."""
    if 0.9 < value < 1:
        return floor(value * 1000) / 1000
    return -_up(-value) if value < 0 else _digits(value, floor)


def _up(value: float) -> float:
    return -_down(-value) if value < 0 else _digits(value, ceil)


def _up_share(chance: float) -> float:
    """A little more than guessing, of a share."""
    return min(1.0, ceil(chance * 100 + 1) / 100)


def _digits(value: float, way: Callable[[float], int]) -> float:
    if value <= 0:
        return 0.0
    step = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{way(round(value / step, 9)) * step:.12g}")


def policy_toml(name: str, said: PolicyProposal) -> str:
    lines = [
        f"# What a version of {name} must show, first proposed from cross-validation on its training rows.",
        "# docs/policy.md is the language. A change acts when the stacks that bring it were approved.",
        'assurance = "simple"  # each decision is wrong with the probability below; authors see the numbers',
        f"error = {ERROR:g}",
        f"holdout_rows = {said.holdout_rows}",
    ]
    if said.excuse:
        lines.append(f"no_fairness_rule = {text(said.excuse)}")
    for rule in said.rules:
        lines += ["", "[[rule]]"]
        for key, value in rule.keys.items():
            shown = f"[{', '.join(plain(each) for each in value)}]" if isinstance(value, list) else plain(value)
            note = f"  # {rule.why}" if key in ("floor", "ceiling", "gain") else ""
            lines.append(f"{key} = {shown}{note}")
    return "\n".join(lines) + "\n"
