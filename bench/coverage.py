"""How often the bounds of lockgate.statistics are wrong, simulated: the table of docs/statistics.md.

Each case draws holdouts whose true number is known and counts how often an end of the interval is beyond it. Shares are
given as multiples of the stated error, of the worse end. `make bench-gate` prints them; seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lockgate.statistics import empirical_bernstein, per_class, regression, roc_auc
from lockgate.statistics.interval import Interval
from lockgate.statistics.per_class import Counts
from lockgate.statistics.regression import Sums

Numbers = npt.NDArray[np.float64]
Bound = Callable[[float], Interval]
LEVELS = (0.05, 0.01, 0.001)


class Found(NamedTuple):
    """Of one case: for each level, how many times as often as stated the worse end was wrong, and the guarantees."""

    case: str
    draws: int
    wrong: dict[float, float]
    guarantees: tuple[str, ...]


def measured(case: str, draws: int, holdouts: Iterator[tuple[float, Bound]]) -> Found:
    """`holdouts` gives the true number and its bound for each drawn holdout."""
    low, high, guarantees = dict.fromkeys(LEVELS, 0), dict.fromkeys(LEVELS, 0), set()
    for _, (truth, bound) in zip(range(draws), holdouts, strict=False):
        for level in LEVELS:
            found = bound(level)
            low[level] += found.low > truth + 1e-12
            high[level] += found.high < truth - 1e-12
            guarantees.add(found.guarantee)
    wrong = {level: max(low[level], high[level]) / draws / level for level in LEVELS}
    return Found(case, draws, wrong, tuple(sorted(guarantees)))


def areas(
    random: np.random.Generator, positives: int, negatives: int, area: float, spread: float
) -> Iterator[tuple[float, Bound]]:
    """Normal scores, those of positives `spread` times as wide."""
    shift = np.sqrt(1 + spread**2) * NormalDist().inv_cdf(area)
    while True:
        p, n = shift + spread * random.normal(size=positives), random.normal(size=negatives)
        of_p, of_n = _placements(p, n)
        found, variance = float(of_p.mean()), float(of_p.var(ddof=1) / positives + of_n.var(ddof=1) / negatives)
        yield area, lambda a, f=found, v=variance: roc_auc.interval(f, v, positives, negatives, a)  # type: ignore[misc]


def area_differences(
    random: np.random.Generator, positives: int, only: float, both: float
) -> Iterator[tuple[float, Bound]]:
    """As many negatives. A share of the positives looks like negatives to the challenger only, another to both."""
    while True:
        chance, same = random.random(positives), random.normal(size=(2, positives))
        hard = [(chance < only) | (chance > 1 - both), chance > 1 - both]
        placed = [_placements(np.where(each, 0.0, 50.0) + same[0], same[1]) for each in hard]
        (p, n), (p_before, n_before) = placed
        covariance = (np.cov(p, p_before) + np.cov(n, n_before)) / positives
        sums = (float(covariance[0, 0]), float(covariance[1, 1]), float(covariance[0, 1]))
        both_areas = float(p.mean()), float(p_before.mean())
        yield -only / 2, partial(roc_auc.difference, *both_areas, *sums, positives, positives)


def balanced(random: np.random.Generator, rows: list[int], recalls: list[float]) -> Iterator[tuple[float, Bound]]:
    while True:
        hits = random.binomial(rows, recalls).tolist()
        yield float(np.mean(recalls)), lambda a, h=hits: per_class.balanced_accuracy(h, rows, a)  # type: ignore[misc]


def balanced_differences(
    random: np.random.Generator, rows: list[int], disagreement: float, lean: float
) -> Iterator[tuple[float, Bound]]:
    shares = [disagreement * (1 + lean) / 2, disagreement * (1 - lean) / 2, 1 - disagreement]
    while True:
        drawn = [random.multinomial(count, shares).tolist() for count in rows]
        wins, losses = [each[0] for each in drawn], [each[1] for each in drawn]
        yield (
            disagreement * lean,
            lambda a, w=wins, x=losses: per_class.balanced_difference(w, x, rows, a),  # type: ignore[misc]
        )


def macro_f1(
    random: np.random.Generator, rows: int, classes: int, right: float, differing: float, lean: float, *, single: bool
) -> Iterator[tuple[float, Bound]]:
    """Later classes have more rows. Models differ on a share of rows, of which a part leans to the champion."""
    table = _joint(classes, right, differing, lean)
    truth = _f1(table.sum(2)) - (0.0 if single else _f1(table.sum(1)))
    while True:
        drawn = random.multinomial(rows, table.ravel()).reshape(table.shape).astype(float)
        tables = drawn.sum(2), drawn.sum(1)
        one, other = (_counts(each) for each in tables)
        if single:
            yield truth, lambda a, c=one: per_class.macro_f1(c, a)  # type: ignore[misc]
            continue
        moved = _influence(tables[0])[:, :, None] - _influence(tables[1])[:, None, :]
        squares = float((drawn * moved**2).sum())
        yield (
            truth,
            lambda a, c=one, d=other, s=squares: per_class.f1_difference(c, d, s, rows, a),  # type: ignore[misc]
        )


def regressions(random: np.random.Generator, rows: int, which: str) -> Iterator[tuple[float, Bound]]:
    """A target with a long tail in 0 to 1, and two models of which the champion is the worse one."""
    truth = _Regression(np.random.default_rng(0), 4_000_000).value(which)
    while True:
        drawn = _Regression(random, rows)
        yield truth, lambda a, d=drawn: d.bound(which, a)  # type: ignore[misc]


class _Regression:
    def __init__(self, random: np.random.Generator, rows: int) -> None:
        signal = random.beta(2, 12, rows)
        labels = np.clip(signal + random.normal(0, 0.04, rows), 0, 1)
        self.rows, self.error = rows, np.clip(signal + random.normal(0, 0.01, rows), 0, 1) - labels
        self.squared = self.error**2
        self.before = (np.clip(signal + random.normal(0, 0.05, rows), 0, 1) - labels) ** 2
        self.target = (labels - labels.mean()) ** 2

    def value(self, which: str) -> float:
        own, before, spread = self.squared.mean(), self.before.mean(), self.target.mean()
        return float(
            {
                "mean error": self.error.mean(),
                "MAE": np.abs(self.error).mean(),
                "RMSE": np.sqrt(own),
                "RMSE difference": np.sqrt(own) - np.sqrt(before),
                "R2": 1 - own / spread,
                "R2 difference": (before - own) / spread,
            }[which]
        )

    def bound(self, which: str, alpha: float) -> Interval:
        if which in ("mean error", "MAE"):
            values, low = (self.error, -1.0) if which == "mean error" else (np.abs(self.error), 0.0)
            return empirical_bernstein.interval(self.rows, *_sums(values), low, 1.0, alpha)
        own, before, apart = _sums(self.squared), _sums(self.before), _sums(self.squared - self.before)
        if which == "RMSE":
            return regression.rmse(self.rows, own, 1.0, alpha)
        if which == "RMSE difference":
            return regression.rmse_difference(self.rows, apart, own, before, 1.0, alpha)
        if which == "R2":
            return regression.r2(self.rows, own, _sums(self.target), 1.0, alpha)
        return regression.r2_difference(self.rows, apart, _sums(self.target), 1.0, alpha)


def table(draws: int = 2000) -> Iterator[Found]:
    """Every case; roc_auc at more draws, since its normal bound is the one that has to be checked."""

    def of(seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)

    for positives, negatives, area, spread in (
        (25, 100, 0.97, 1.0),
        (200, 800, 0.9, 1.0),
        (500, 500, 0.97, 3.0),
        (1000, 1000, 0.8, 1.0),
    ):
        case = f"ROC AUC {area}, {positives} and {negatives} rows, positives {spread:g} times as wide"
        yield measured(case, 8 * draws, areas(of(1), positives, negatives, area, spread))
    for positives, only, both in ((100, 0.02, 0.18), (1000, 0.02, 0.18), (1000, 0.1, 0.1)):
        case = f"ROC AUC difference, {positives} positives, {only:.0%} lost by the challenger alone"
        yield measured(case, 4 * draws, area_differences(of(2), positives, only, both))
    even, uneven = [200] * 5, [3000, 400, 100, 50, 20]
    for rows in (even, uneven):
        recalls = [0.95, 0.9, 0.8, 0.7, 0.6]
        yield measured(f"balanced accuracy, classes of {rows} rows", draws, balanced(of(3), rows, recalls))
        for lean in (0.0, 0.5):
            case = f"balanced difference, classes of {rows} rows, {lean:.0%} lean"
            yield measured(case, draws, balanced_differences(of(4), rows, 0.1, lean))
    for count, classes in ((1000, 3), (5000, 10)):
        yield measured(f"macro F1, {classes} classes", draws, macro_f1(of(5), count, classes, 0.9, 0.1, 0, single=True))
        for differing, lean in ((0.2, 0.0), (0.2, 0.5), (0.01, 1.0)):
            case = f"macro F1 difference, {count} rows, {classes} classes, {differing:.0%} differ, {lean:.0%} lean"
            yield measured(case, draws, macro_f1(of(6), count, classes, 0.9, differing, lean, single=False))
    for which in ("mean error", "MAE", "RMSE", "RMSE difference", "R2", "R2 difference"):
        yield measured(f"{which}, 1000 rows", draws, regressions(of(7), 1000, which))


def show() -> list[Found]:
    print("\nHow many times as often as stated the worse end of an interval is wrong, by level")
    print(f"{'case':<90}{'draws':>8}" + "".join(f"{level:>8g}" for level in LEVELS) + "  guarantee")
    found = []
    for each in table():
        shares = "".join(f"{each.wrong[level]:>8.2f}" for level in LEVELS)
        print(f"{each.case:<90}{each.draws:>8,}{shares}  {', '.join(each.guarantees)}", flush=True)
        found.append(each)
    return found


def _sums(values: Numbers) -> Sums:
    return Sums(float(values.sum()), float((values**2).sum()))


def _placements(positive: Numbers, negative: Numbers) -> tuple[Numbers, Numbers]:
    """Scores without ties: shares of the other class below a positive, and above a negative."""
    below = np.searchsorted(np.sort(negative), positive) / len(negative)
    return below, 1 - np.searchsorted(np.sort(positive), negative) / len(positive)


def _joint(classes: int, right: float, differing: float, lean: float) -> Numbers:
    """Shares of rows by label, challenger's and champion's prediction."""
    shares = np.arange(1, classes + 1.0) / (classes * (classes + 1) / 2)
    found = np.zeros((classes, classes, classes))
    for label, share in enumerate(shares):
        hit = np.eye(classes)[label]
        wrong = (1 - hit) / (classes - 1)
        found[label] += share * (1 - differing) * np.diag(right * hit + (1 - right) * wrong)
        found[label] += share * differing * (1 + lean) / 2 * np.outer(wrong, hit)
        found[label] += share * differing * (1 - lean) / 2 * np.outer(hit, wrong)
    normed: Numbers = found / found.sum()
    return normed


def _f1(table: Numbers) -> float:
    return float((2 * np.diag(table) / (table.sum(0) + table.sum(1))).mean())


def _counts(table: Numbers) -> Counts:
    hits = np.diag(table)
    return Counts(hits.astype(int).tolist(), (table.sum(0) + table.sum(1) - hits).astype(int).tolist())


def _influence(table: Numbers) -> Numbers:
    """Of a row with each label and prediction, as lockgate.statistics.per_class states it."""
    doubled = table.sum(0) + table.sum(1)
    weights = np.where(doubled > 0, 1 / np.maximum(doubled, 1), 0.0)
    lost = 2 * np.diag(table) * weights * weights
    moved = np.diag(2 * weights) - lost[:, None] - lost[None, :]
    found: Numbers = table.sum() / len(table) * moved
    return found


if __name__ == "__main__":
    show()
