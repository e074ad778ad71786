"""What the gate's statistics are worth: false promotions under an adapting author, power, rows and labels, coverage.

`make bench-gate` prints the tables and writes build/bench/gate.json, and beside it gate-details.json with the rest:
labels, power, holdouts. Seeds are fixed; takes a few minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import coverage, easeml
from lockgate.statistics import budget, paired, plan
from lockgate.statistics.budget import Budget, Feedback, Scope

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

STREAMS, COMMITS, RATE, DECISIONS = 1000, 1000, 0.05, 32
ROWS, WORDS = 20_000, 128  # 8,192 of 20,000 rows are contested; a commit answers one in 8 unlike the champion
FEEDBACKS: tuple[Feedback, ...] = ("none", "first-pass", "every-verdict")
KEYS = ("condition", "reliability", "steps", "feedback", "disagreement", "easeml", "ours")
RESULT, DETAILS = Path("build/bench/gate.json"), Path("build/bench/gate-details.json")


_UNKNOWN = -(10**9)


class Author:
    """Writes commits against feedback, one per stream at a time. None of them is better than the champion.

    On contested rows champion and commit are right half the time each, so a commit is a choice of contested rows on
    which to answer otherwise, its true difference is exactly 0, and what a holdout says of it is luck that a clever
    author collects. A third of the streams climbs: it changes a few answers of the best commit so far, the last that
    passed. A third resubmits near-copies of its latest commit, hoping to be lucky once, and puts those that passed
    together by majority. A third sends unrelated commits, for which a union bound is hardly too careful. An author who
    sees numbers climbs.
    """

    def __init__(self, random: np.random.Generator, streams: int) -> None:
        self._random = random
        self._kind = np.arange(streams) % 3
        self._best = self._fresh()
        self._latest = self._best
        self._passed = [self._best] * 3
        self._score = np.full(streams, _UNKNOWN, dtype=np.int64)
        self._has_best = np.zeros(streams, dtype=bool)

    def write(self) -> Words:
        unrelated, changed = self._fresh(), self._fresh()  # one contested row in 8 is answered otherwise
        climbing = np.where(self._has_best[:, None], _vary(self._best, unrelated, changed), unrelated)
        together = self._has_best & (self._random.random(len(self._kind)) < 0.5)
        copying = np.where(together[:, None], self._majority(), _vary(self._latest, unrelated, changed))
        self._latest = np.choose(self._kind[:, None], [climbing, copying, unrelated])
        return self._latest

    def learn(self, passed: Mask) -> None:
        """See which commits passed; of the rest only that they did not."""
        self._best = np.where(passed[:, None], self._latest, self._best)
        self._has_best |= passed
        if passed.any():
            self._passed = [np.where(passed[:, None], self._latest, self._passed[0]), *self._passed[:2]]

    def learn_numbers(self, difference: Numbers) -> None:
        """See how many more rows each commit has right than the champion: what the gate must not show."""
        self._kind[:] = 0
        better = difference > self._score
        self._best = np.where(better[:, None], self._latest, self._best)
        self._score = np.where(better, difference, self._score)
        self._has_best[:] = True

    def start_anew(self, where: Mask) -> None:
        """Another holdout: what was learned of the old one's luck is worth nothing on its rows."""
        self._score = np.where(where, _UNKNOWN, self._score)
        self._has_best &= ~where

    def _fresh(self) -> Words:
        return self._bits() & self._bits() & self._bits()

    def _bits(self) -> Words:
        return self._random.integers(0, 2**64, size=(len(self._kind), WORDS), dtype=np.uint64)

    def _majority(self) -> Words:
        a, b, c = self._passed
        majority: Words = (a & b) | (a & c) | (b & c)
        return majority


class Silence(Author):
    """An author who learns nothing; near-copies and climbing without knowing where to."""

    def learn(self, passed: Mask) -> None:
        return None


@dataclass
class Holdouts:
    """One holdout per stream, drawn anew where asked for: which contested rows a commit would win."""

    random: np.random.Generator
    winning: Words = field(init=False)

    def __post_init__(self) -> None:
        self.winning = self.random.integers(0, 2**64, size=(STREAMS, WORDS), dtype=np.uint64)

    def renew(self, where: Mask) -> None:
        self.winning[where] = self.random.integers(0, 2**64, size=(int(where.sum()), WORDS), dtype=np.uint64)

    def count(self, commits: Words) -> tuple[Numbers, Numbers]:
        """Wins and losses of each stream's commit against the champion."""
        return _bits(commits & self.winning), _bits(commits & ~self.winning)


def simulate_ours(feedback: Feedback, scope: Scope, seed: int, *, numbers_leak: bool = False) -> dict[str, float]:
    """Shares of streams and of holdouts in which our gate promoted anything at all: all of it is false."""
    random = np.random.Generator(np.random.SFC64(seed))
    author = (Silence if feedback == "none" else Author)(random, STREAMS)
    holdouts, stated = Holdouts(random), Budget(RATE, scope, DECISIONS, feedback)
    holdout, spent, passes = (np.full(STREAMS, first, dtype=np.int64) for first in (1, 0, 0))
    stream_false, holdout_false = np.zeros(STREAMS, dtype=bool), 0
    for _ in range(COMMITS):
        wins, losses = holdouts.count(author.write())
        passed = np.zeros(STREAMS, dtype=bool)
        likely = (wins - losses) > 2.8 * np.sqrt(wins + losses)  # no level here is above 0.0016, which needs 2.9
        for i in np.flatnonzero(likely).tolist():
            level = budget.decision_level(stated, int(holdout[i]), int(spent[i]), int(passes[i]))
            passed[i] = paired.lower_bound(int(wins[i]), int(losses[i]), ROWS, level) > 0
        author.learn(passed)
        if numbers_leak:
            author.learn_numbers(wins - losses)
        holdout_false += int((passed & (passes == 0)).sum())
        stream_false |= passed
        spent, passes = spent + 1, passes + passed
        ended = spent >= DECISIONS
        if feedback == "first-pass":
            ended |= passes > 0
        author.start_anew(ended)
        holdouts.renew(ended)
        holdout, spent, passes = holdout + ended, np.where(ended, 0, spent), np.where(ended, 0, passes)
    used = int((holdout - (spent == 0)).sum())
    return {"streams": float(stream_false.mean()), "holdouts": holdout_false / used}


def simulate_peer(passes: Callable[[Numbers, Numbers], Mask], seed: int) -> dict[str, float]:
    """The same for a gate that asks for no fresh holdout; one holdout serves each stream for good."""
    random = np.random.Generator(np.random.SFC64(seed))
    author, holdouts = Author(random, STREAMS), Holdouts(random)
    stream_false = np.zeros(STREAMS, dtype=bool)
    for _ in range(COMMITS):
        passed = passes(*holdouts.count(author.write()))
        author.learn(passed)
        stream_false |= passed
    share = float(stream_false.mean())
    return {"streams": share, "holdouts": share}


def at_least_champion(wins: Numbers, losses: Numbers) -> Mask:
    """`metric >= champion`."""
    not_worse: Mask = wins >= losses
    return not_worse


def interval_above_champion(wins: Numbers, losses: Numbers) -> Mask:
    """The lower end of a 95 % interval of the difference (McNemar, normal), made anew for each commit, is above 0."""
    above: Mask = wins - losses > 1.959964 * np.sqrt(wins + losses)
    return above


def power_table() -> list[dict[str, Any]]:
    """Share of truly better commits found by the first decision on a first holdout."""
    random = np.random.default_rng(7)
    level = budget.decision_level(Budget(RATE, "holdout", DECISIONS, "every-verdict"), 1, 0, 0)
    table = []
    for rows in (2_000, 5_000, 10_000, 20_000, 50_000):
        for disagreement in (0.02, 0.05, 0.10):
            for points in (0.5, 1.0, 2.0):
                shares = [(disagreement + points / 100) / 2, (disagreement - points / 100) / 2, 1 - disagreement]
                drawn = random.multinomial(rows, shares, size=400).tolist()
                found = sum(paired.lower_bound(wins, losses, rows, level) > 0 for wins, losses, _ in drawn) / len(drawn)
                table.append({"rows": rows, "disagreement": disagreement, "points": points, "found": found})
    return table


def rows_table() -> Iterator[dict[str, Any]]:
    """Rows and labels for the same guarantee, ours beside ease.ml/ci's.

    Condition `n - o > t +/- e`: ease.ml/ci's estimate is within e of the truth with the reliability, whatever the
    disagreement. Ours lets a commit at t - e or below through with probability 1 - reliability at most over all steps,
    whatever the disagreement, and one at t with probability 0.8 at the disagreement given.
    """
    for threshold, tolerance in ((0.02, 0.02), (0.0, 0.02), (0.01, 0.01), (0.05, 0.05)):
        for reliability in (0.99, 0.999):
            for steps in (1, 32, 100):
                for feedback in FEEDBACKS:
                    for disagreement in (0.02, 0.05, 0.10):
                        if disagreement >= threshold:
                            yield _rows_entry(threshold, tolerance, reliability, steps, feedback, disagreement)


def _rows_entry(
    threshold: float, tolerance: float, reliability: float, steps: int, feedback: Feedback, disagreement: float
) -> dict[str, Any]:
    stated = Budget(round(1 - reliability, 9), "holdout", steps, feedback)
    need = plan.paired_need(
        budget.smallest_level(stated, 1), disagreement, threshold, round(threshold - tolerance, 9), power=0.8
    )
    # its firstChange mode costs what none does (section 3.2: the holdout ends with the first change)
    adaptivity: easeml.Adaptivity = "full" if feedback == "every-verdict" else "none"
    return {
        "condition": f"n - o > {threshold:g} +/- {tolerance:g}",
        "reliability": reliability,
        "steps": steps,
        "feedback": feedback,
        "disagreement": disagreement,
        "easeml": easeml.rows(2, tolerance, reliability, steps, adaptivity),
        "easeml_disagreement_assumed": easeml.rows_assuming_disagreement(
            disagreement, tolerance, reliability, steps, adaptivity
        ),
        "ours": need.rows,
        "ours_labels": need.labels,
    }


def single_table() -> Iterator[dict[str, Any]]:
    """The same for one model's accuracy, `n > 0.8 +/- 0.05`: every row needs its label, so little is gained."""
    for steps in (1, 32, 100):
        for feedback in FEEDBACKS:
            level = budget.smallest_level(Budget(0.01, "holdout", steps, feedback), 1)
            adaptivity: easeml.Adaptivity = "full" if feedback == "every-verdict" else "none"
            theirs = easeml.rows(1, 0.05, 0.99, steps, adaptivity)
            need = plan.rate_need(level, rate=0.8, floor=0.75, power=0.8)
            yield {"steps": steps, "feedback": feedback, "easeml": theirs, "ours": need.rows}


def simulated_power(entry: dict[str, Any], random: np.random.Generator) -> float:
    """Share of commits at the condition's threshold that ours lets through at its number of rows: 0.8 is planned."""
    threshold, tolerance = (float(part) for part in entry["condition"].removeprefix("n - o > ").split(" +/- "))
    stated = Budget(round(1 - entry["reliability"], 9), "holdout", entry["steps"], entry["feedback"])
    level, rows, disagreement = budget.smallest_level(stated, 1), entry["ours"], entry["disagreement"]
    shares = [(disagreement + threshold) / 2, (disagreement - threshold) / 2, 1 - disagreement]
    drawn = random.multinomial(rows, shares, size=1000).tolist()
    margin = round(threshold - tolerance, 9)
    return sum(paired.lower_bound(wins, losses, rows, level) > margin for wins, losses, _ in drawn) / len(drawn)


def _vary(commit: Words, other: Words, changed: Words) -> Words:
    """Answers like one commit, and where changed like the other."""
    varied: Words = (commit & ~changed) | (other & changed)
    return varied


def _bits(words: Words) -> Numbers:
    counts: Numbers = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return counts


def main() -> None:
    with ProcessPoolExecutor(2) as pool:
        in_life = {feedback: pool.submit(simulate_ours, feedback, "policy", seed=11) for feedback in FEEDBACKS}
        in_holdouts = {feedback: pool.submit(simulate_ours, feedback, "holdout", seed=12) for feedback in FEEDBACKS}
        leaking = pool.submit(simulate_ours, "every-verdict", "policy", seed=13, numbers_leak=True)
        peers = [
            pool.submit(simulate_peer, at_least_champion, seed=14),
            pool.submit(simulate_peer, interval_above_champion, seed=15),
        ]
        rows, power = list(rows_table()), power_table()
        life = {feedback: future.result() for feedback, future in in_life.items()}
        per_holdout = {feedback: future.result() for feedback, future in in_holdouts.items()}
        leak, naive, fixed = leaking.result(), peers[0].result(), peers[1].result()

    print(f"{STREAMS:,} streams of {COMMITS:,} commits, none better than the champion; {ROWS:,} rows a holdout,")
    print(f"models disagree on 5 %, {DECISIONS} decisions a holdout. Stated rate {RATE:.0%}.\n")
    print("gate                                            streams with a    holdouts with a")
    print("                                                false promotion   false promotion")
    for feedback in FEEDBACKS:
        print(f"ours, {RATE:.0%} for the policy's life, {feedback:<18}{life[feedback]['streams']:>11.1%}{'':>18}")
    for feedback in FEEDBACKS:
        held = per_holdout[feedback]
        print(f"ours, {RATE:.0%} for each holdout, {feedback:<18}{held['streams']:>16.1%}{held['holdouts']:>18.1%}")
    print(f"metric >= champion{naive['streams']:>41.1%}{naive['holdouts']:>18.1%}")
    print(f"a fresh 95 % interval per commit{fixed['streams']:>27.1%}{fixed['holdouts']:>18.1%}")
    print(f"ours, if authors saw its numbers{leak['streams']:>27.1%}{leak['holdouts']:>18.1%}   <- why they do not\n")

    print(f"Share of true improvements found by one decision (a holdout that serves {DECISIONS} at {RATE:.0%}, first)")
    print("rows      disagree   0.5 point   1 point   2 points")
    for i in range(0, len(power), 3):
        shares = "".join(f"{entry['found']:>11.0%}" for entry in power[i : i + 3])
        print(f"{power[i]['rows']:<10,}{power[i]['disagreement']:>6.0%} {shares}")

    print("\nRows (labels) for the same guarantee; ease.ml/ci: any disagreement, and disagreement assumed")
    print("(the rest of the grid is in build/bench/gate-details.json)")
    print(
        "condition             reliab. steps feedback       disagree  ease.ml/ci   assumed       ours   labels  fewer"
    )
    for entry in (entry for entry in rows if entry["reliability"] == 0.99 and "0.02" in entry["condition"]):
        print(
            f"{entry['condition']:<22}{entry['reliability']:<7}{entry['steps']:>6} {entry['feedback']:<15}"
            f"{entry['disagreement']:>7.0%}{entry['easeml']:>13,}{entry['easeml_disagreement_assumed']:>10,}"
            f"{entry['ours']:>11,}{entry['ours_labels']:>9,}{entry['easeml'] / entry['ours']:>7.1f}"
        )
    single = list(single_table())
    print("\nThe same for one accuracy, n > 0.8 +/- 0.05 at 0.99 (every row labelled)")
    print("steps feedback        ease.ml/ci   ours")
    for entry in single:
        print(f"{entry['steps']:>5} {entry['feedback']:<15}{entry['easeml']:>11,}{entry['ours']:>7,}")

    random = np.random.default_rng(16)
    headline = [e for e in rows if (e["condition"], e["steps"], e["reliability"]) == ("n - o > 0.02 +/- 0.02", 1, 0.99)]
    checks = [simulated_power(entry, random) for entry in headline if entry["feedback"] == "first-pass"]
    print("\nsimulated power of the first condition, one step, first-pass: " + ", ".join(f"{p:.0%}" for p in checks))

    covered = [each._asdict() for each in coverage.show()]
    result = {
        "stated_rate": RATE,
        "false_promotion": {
            "ours_none": life["none"]["streams"],
            "ours_first_pass": life["first-pass"]["streams"],
            "ours_every_verdict": life["every-verdict"]["streams"],
            "naive": naive["streams"],
            "fixed_interval": fixed["streams"],
        },
        "rows": [{key: entry[key] for key in KEYS} for entry in rows],
    }
    details = {"rows": rows, "single": single, "power": power, "holdouts": per_holdout, "numbers_leak": leak}
    details["coverage"] = covered
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    for file, content in ((RESULT, result), (DETAILS, details)):
        file.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
