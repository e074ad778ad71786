"""What the gate itself costs: CPU of one decision beyond the AWS calls, and what importing it adds to boto3.

    python -m bench.decision

Writes build/bench/decision.json. The evidence has the size of the census example's: two protected attributes with two
and nine groups, and a champion; the policies are those of environments/ and one with every kind of gap by nine groups.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from lockgate import canonical
from lockgate.config import read_configuration
from lockgate.evidence import Champion, Data, Evidence, Group, Metric, read_evidence
from lockgate.holdout import usage
from lockgate.ledger import Entry, Record, next_record
from lockgate.policy import MEASURES, Gap, Policy
from lockgate.verdict import Circumstances, judge

ROOT = Path(__file__).parent.parent
TIMES = 50
MOST_MS = 50.0
IMPORT = (
    "import time, boto3, botocore.config, botocore.exceptions; begin = time.process_time(); "
    "import lambdas.gate; print(time.process_time() - begin)"
)


def evidence() -> Evidence:
    rows = 69126
    metrics = {
        "roc_auc": Metric(0.903, rows, {"variance": 1.3e-6}),
        "accuracy": Metric(57000 / rows, rows, {"correct": 57000.0}),
        "log_loss": Metric(0.36, rows, {"sum": 0.36 * rows, "sum_of_squares": 0.3 * rows}),
        "brier": Metric(0.117, rows, {"sum": 0.117 * rows, "sum_of_squares": 0.03 * rows}),
    }

    def group(people: int) -> Group:
        quarter = people // 4
        counts = (quarter + quarter // 2, quarter // 2, quarter // 2, people - 2 * quarter - quarter // 2)
        return Group(*counts, 0.01 * people, 0.1 * people)

    race = (54000, 5000, 4500, 3000, 1500, 970, 56, 32, 4)
    paired = {"accuracy": {"only_challenger": 1800.0, "only_champion": 1500.0}}
    return Evidence(
        model="employment",
        commit="c" * 40,
        image="1.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "a" * 64,
        execution="e",
        actor="ada",
        model_sha256="b" * 64,
        contents_sha256="d" * 64,
        data=Data("5" * 16, "1" * 64, "2" * 64, "3" * 64, "6" * 64, "7" * 64, 68000, rows),
        features=("AGEP",),
        parameters={},
        replay_sha256="e" * 64,
        metrics=metrics,
        groups={
            "SEX": {"1": group(33182), "2": group(35944)},
            "RAC1P": {str(code): group(people) for code, people in enumerate(race, start=1)},
        },
        champion=Champion("9" * 64, metrics, paired),
    )


def chain(length: int) -> list[Record]:
    """A ledger with so many decisions on this holdout."""
    made: list[Record] = []
    body = {"holdout_sha256": "3" * 64, "outcome": "failed"}
    for number in range(length):
        made.append(next_record("employment", made, Entry("verdict", str(number), number, "dev", body), "2026-11-22"))
    return made


def decision_ms(policy: Policy, data: bytes, records: list[Record]) -> float:
    """CPU milliseconds of reading the evidence, counting the budget and judging: the median of several."""
    digest, taken = canonical.sha256(data), []
    for _ in range(TIMES):
        begin = time.process_time()
        found = read_evidence(data, digest)
        alpha = usage(records, found.data.labels_sha256, 99).level(policy.budget)
        assert alpha is not None  # noqa: S101 - the policy's holdout serves more decisions than the chain has
        judge(policy, found, Circumstances(alpha=alpha, champion_sha256="9" * 64))
        taken.append((time.process_time() - begin) * 1000)
    return statistics.median(taken)


def import_ms() -> float:
    """CPU milliseconds that the gate's modules add to importing boto3, in one process: the median of several."""
    command = [sys.executable, "-c", IMPORT]
    taken = [
        float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout) for _ in range(9)
    ]
    return statistics.median(taken) * 1000


def main() -> int:
    environments = read_configuration(ROOT).environments
    policies = {environment.name: environment.policy for environment in environments}
    gaps = tuple(Gap(measure, measure, "RAC1P", "ceiling", 0.1, 1) for measure in MEASURES)
    policies["every gap by nine groups"] = Policy(gaps, environments[-1].policy.budget)
    data, records = evidence().to_bytes(), chain(20)
    figures = {name: decision_ms(policy, data, records) for name, policy in policies.items()}
    figures["importing the gate after boto3"] = import_ms()
    for name, milliseconds in figures.items():
        print(f"{milliseconds:8.1f} ms CPU  {name}")
    file = ROOT / "build" / "bench" / "decision.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")
    slow = [name for name, milliseconds in figures.items() if milliseconds > MOST_MS]
    if slow:
        print(f"over {MOST_MS:g} ms: {', '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
