"""What the gate itself costs: CPU of one decision beyond the AWS calls, and what importing it adds to boto3.

    python -m bench.decision

Writes build/bench/decision.json. A decision begins with reading the configuration and ends with the recorded verdict,
as the gate's handler does both: only what AWS would answer comes from memory (`Answers`, `Bucket`). Hashing the model
data and reading attestations, which grow with them, are left out. The ledger has 200 records, each a verdict as this
gate writes it.
The evidence has the size of the census example's: two protected attributes with two and nine groups, and a champion;
the policies are those of environments/ and one with every kind of gap by nine groups; the bill of materials lists 400
components.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from lockgate import canonical, names
from lockgate.aws.ledger import LedgerStore
from lockgate.configuration.environment import Environment, read_environment
from lockgate.configuration.project import read_configuration
from lockgate.configuration.tools import read_tools
from lockgate.evidence.document import BINARY_TARGET, Champion, Data, Evidence, Group, Metric
from lockgate.evidence.provenance import PROVENANCE, SBOM, Attestation, Build, predicate_of, statement
from lockgate.gate.decision import Case, entry_of, name_of
from lockgate.gate.verification import Artifacts, Evaluation, Expected, ModelData, Package
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Deployment, ReleaseBody, Verdict
from lockgate.ledger.records import Entry, Record
from lockgate.policy.of_model import read_model_policy
from lockgate.policy.rules import Gap, Policy
from lockgate.release.parameters import Release
from lockgate.statistics import binomial
from lockgate.tasks.task import measures_of

ROOT = Path(__file__).parent.parent
TIMES, RECORDS, COMPONENTS = 30, 200, 400
MOST_MS = 50.0
MODEL = "employment"
IMPORT = (
    "import time; start = time.process_time(); import boto3, botocore.config, botocore.exceptions; "
    "begin = time.process_time(); import lambdas.gate; print(begin - start, time.process_time() - begin)"
)


def evidence(lineage: Mapping[str, str]) -> Evidence:
    rows = 69126

    def accuracy(correct: int) -> Metric:
        return Metric(correct / rows, rows, {"hits": float(correct)})

    metrics = {
        "roc_auc": Metric(0.903, rows, {"variance": 1.3e-6, "positives": rows // 2, "negatives": rows // 2}),
        "accuracy": accuracy(57000),
        "log_loss": Metric(0.36, rows, {"sum": 0.36 * rows, "sum_of_squares": 0.3 * rows}),
        "brier": Metric(0.117, rows, {"sum": 0.117 * rows, "sum_of_squares": 0.03 * rows}),
    }

    def group(people: int) -> Group:
        half, quarter = people // 2, people // 4
        residual = {"sum": 0.01 * people, "sum_of_squares": 0.1 * people}
        rates = {
            "positive_rate": (half, people),
            "true_positive_rate": (quarter, half),
            "false_positive_rate": (quarter // 2, people - half),
        }
        metrics = {name: Metric(hits / rows, rows, {"hits": float(hits)}) for name, (hits, rows) in rates.items()}
        return Group(people, {**metrics, "mean_error": Metric(0.01, people, residual)})

    race = (56464, 4263, 73, 4, 56, 4183, 32, 2081, 1970)
    paired = {"accuracy": {"only_challenger": 1800.0, "only_champion": 1500.0}}
    return Evidence(
        model=MODEL,
        commit=lineage["commit"],
        image=lineage["image"],
        execution=lineage["execution"],
        actor=lineage["actor"],
        model_sha256=lineage["model_sha256"],
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
        champion=Champion(SERVED, {**metrics, "accuracy": accuracy(56700)}, paired),
    )


SERVED = "9" * 64


class Answers:
    """What AWS holds about version 99, which is all in order: package, evidence, evaluation, image and model data."""

    def __init__(self) -> None:
        tools = self.tools = read_configuration(ROOT).tools
        account, region = tools.account, tools.region
        self.buckets = {name: names.bucket(name, account, region) for name in ("ledger", "evidence", "models")}
        self.arn = names.package_arn(account, region, MODEL, 99)
        digest = "sha256:" + "a" * 64
        self.image = f"{names.repository_uri(account, region, names.MODELS_REPOSITORY)}@{digest}"
        buckets = (self.buckets["evidence"], self.buckets["models"])
        evaluator = tools.evaluator_image_digest
        expected = self.expected = Expected(MODEL, 99, self.arn, account, region, evaluator, *buckets)
        execution = f"{expected.executions}x1"
        folder = expected.evidence_folder(execution)
        self.lineage = {
            "commit": "c" * 40,
            "image": self.image,
            "snapshot": "5" * 16,
            "actor": "ada",
            "execution": execution,
            "evidence_uri": f"{folder}/evidence.json",
            "model_sha256": "b" * 64,
        }
        self.evidence = evidence(self.lineage).to_bytes()
        self.lineage["evidence_sha256"] = canonical.sha256(self.evidence)
        self.evaluation = Evaluation("Completed", expected.evaluator_image, (folder,), self.image)
        key = f"{MODEL}/x1/training/model.tar.gz"
        self.model_data = ModelData(self.buckets["models"], key, "v1", self.lineage["model_sha256"])
        build = Build(
            project_arn=names.project_arn(account, region, names.IMAGE_PROJECT),
            build_arn="build",
            commit=self.lineage["commit"],
            source_uri="source",
            source_version="v1",
            source_sha256="5" * 64,
            base_image=tools.base_image,
            started="2026-11-21T00:00:00+00:00",
            finished="2026-11-21T00:01:00+00:00",
        )
        listed = [{"name": f"package-{n}", "version": "1.2.3", "purl": f"pkg:p/{n}"} for n in range(COMPONENTS)]
        said = ((PROVENANCE, predicate_of(build)), (SBOM, {"bomFormat": "CycloneDX", "components": listed}))
        repository = self.image.partition("@")[0]
        self.attestations = tuple(Attestation(statement(repository, digest, *each), signed=True) for each in said)

    def artifacts(self) -> Artifacts:
        uri = f"s3://{self.model_data.bucket}/{self.model_data.key}"
        group, waits = names.package_group(MODEL), "PendingManualApproval"
        return Artifacts(
            package=Package(self.arn, group, 99, "Completed", waits, self.image, uri, self.lineage),
            evidence=self.evidence,
            evaluation=self.evaluation,
            image_digest=self.image.rpartition("@")[2],
            model_data=self.model_data,
            started_by="arn:aws:sts::111111111111:assumed-role/lockgate-delivery/3003",
            attestations=self.attestations,
        )


class Bucket:
    """The ledger's bucket in memory, as LedgerStore asks it."""

    def __init__(self, chain: ReleaseChain) -> None:
        self.stored = {names.ledger_key(MODEL, record.sequence): record.to_bytes() for record in chain}

    def get_paginator(self, _: str) -> Bucket:
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"Contents": [{"Key": key, "ETag": "1"} for key in sorted(self.stored)]}

    def get_object(self, **request: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.stored[request["Key"]])}

    def put_object(self, **request: Any) -> None:
        self.stored[request["Key"]] = request["Body"]


def decide(
    answers: Answers, environment: Environment, policy: Policy, chain: ReleaseChain, *, read_before: bool = True
) -> tuple[float, Record[Verdict]]:
    """CPU milliseconds of one decision, and its record. read_before: whether the container knows the chain already."""
    bucket = Bucket(chain)
    store = LedgerStore(bucket, answers.buckets["ledger"])
    if read_before:
        store.chain(MODEL)
    artifacts, now = answers.artifacts(), _now()
    binomial.interval.cache_clear()  # another version has other counts
    begin = time.process_time()
    tools = read_tools(ROOT / "environments" / "tools.toml")
    read = read_environment(ROOT / "environments" / f"{environment.name}.toml")
    read_model_policy(ROOT / "model" / MODEL)
    case = Case(answers.expected, artifacts, read, policy, tools.promotion[-1], now)
    name = name_of(case.expected, read.name, policy, store.chain(MODEL), now)
    record = store.append_decided(MODEL, name, partial(entry_of, name, case), now)
    return (time.process_time() - begin) * 1000, record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def history(answers: Answers, environment: Environment, policy: Policy) -> ReleaseChain:
    """A deployment of the champion, and verdicts of the size that this gate writes."""
    now = _now()
    release = Release(
        version="1",
        commit="1" * 40,
        package_arn=names.package_arn(answers.tools.account, answers.tools.region, MODEL, 1),
        image=answers.image,
        model_sha256=SERVED,
        replay_sha256="e" * 64,
        policy_sha256=policy.sha256,
        verdict_id=f"{MODEL}/1",
        model_version_id="v1",
    )
    served = Deployment(outcome="succeeded", release=release, url=None, reason="", place=1)
    chain = ReleaseChain(MODEL).extended(Entry("served", 1, answers.tools.promotion[-1], served), now)
    _, decided = decide(answers, environment, policy, chain)
    records: list[Record[ReleaseBody]] = list(chain)
    for number in range(RECORDS - 1):
        holdout = "3" if number % 10 == 0 else "8" if number % 2 else "7"
        body = replace(decided.entry.body, holdout_sha256=holdout * 64, outcome="failed")
        records.append(replace(chain, records=tuple(records)).next(Entry(str(number), number + 2, "dev", body), now))
    return replace(chain, records=tuple(records))


def decision_ms(
    answers: Answers, environment: Environment, policy: Policy, chain: ReleaseChain, *, read_before: bool = True
) -> float:
    """The median of several; each ends in a verdict that applied the policy."""
    taken = []
    for _ in range(TIMES):
        milliseconds, record = decide(answers, environment, policy, chain, read_before=read_before)
        assert record.entry.body.alpha is not None, record.entry.body.reasons  # noqa: S101 - else it measures a refusal
        taken.append(milliseconds)
    return statistics.median(taken)


def import_ms() -> tuple[float, float]:
    """CPU milliseconds of importing boto3, and that the gate's modules add, in one process: the medians of several."""
    command = [sys.executable, "-c", IMPORT]
    said = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(9)]
    boto3, added = zip(*(map(float, line.split()) for line in said), strict=True)
    return statistics.median(boto3) * 1000, statistics.median(added) * 1000


def main() -> int:
    answers, configuration = Answers(), read_configuration(ROOT)
    asked = {found.name: (found, configuration.policy(found, MODEL)) for found in configuration.environments}
    last, policy = list(asked.values())[-1]
    gaps = tuple(Gap(measure, measure, "RAC1P", "ceiling", 0.1, 1) for measure in measures_of(BINARY_TARGET))
    asked["every gap by nine groups"] = last, replace(policy, rules=gaps)
    chain = history(answers, last, policy)
    figures = {name: decision_ms(answers, *each, chain) for name, each in asked.items()}
    figures[f"{last.name}, first of a container: {RECORDS} records to read"] = decision_ms(
        answers, last, policy, chain, read_before=False
    )
    boto3, figures["importing the gate after boto3"] = import_ms()
    for name, milliseconds in {**figures, "importing boto3, for comparison": boto3}.items():
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
