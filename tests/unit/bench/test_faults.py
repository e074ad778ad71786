"""The faults of a run follow from its seed, enough runs meet every kind, and the checks afterwards can fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from bench.faults import check, plan
from bench.faults.__main__ import report
from bench.faults.runs import Run
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Approval, Verdict
from tests import records

PLANNED = [fault for seed in range(1, 201) for fault in plan.faults(seed)]


def test_the_same_seed_plans_the_same_faults() -> None:
    assert plan.faults(7) == plan.faults(7)
    assert plan.faults(7) != plan.faults(8)


def test_two_hundred_runs_meet_every_kind_and_let_every_function_die_before_each_of_its_calls() -> None:
    assert {fault["kind"] for fault in PLANNED} == set(plan.KINDS)
    died = {(fault["who"], fault["call"]) for fault in PLANNED if fault["kind"] == "dies-before"}
    assert died == {(who, call) for who, calls in plan.FUNCTIONS.values() for call in range(1, calls + 1)}


def test_the_embedded_aws_is_not_asked_to_kill_tasks() -> None:
    assert plan.TASK_KILLED not in {rule["kind"] for rule in plan.rules(PLANNED)}


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ({"who": "assumed-role/lockgate-gate/"}, "gate"),
        ({"who": "assumed-role/lockgate-prod-deploy/"}, "deploy in prod"),
        ({"function": "lockgate-controller"}, "controller"),
        ({"who": "dev"}, "dev"),
    ],
)
def test_a_fault_is_reported_where_it_happened(fault: dict[str, str], place: str) -> None:
    assert plan.place_of(fault) == place


VERDICT = records.verdict(model_sha256="m", image="registry/models@sha256:1", approvals=1)
APPROVAL = records.approval(request="income/2")
SERVED = {"VERDICT_ID": "income/1", "RELEASE_VERSION": "7", "MODEL_DATA_SHA256": "m"}
IMAGE = "copies/models@sha256:1"


def chain(*bodies: Any) -> ReleaseChain:
    return records.chain_of(*(records.entry(body, 7, "prod") for body in bodies))


def asked(verdict: Verdict, *answers: Approval) -> ReleaseChain:
    return chain(verdict, records.request(), *answers)


def test_what_passed_and_was_approved_may_be_served() -> None:
    assert check.unjustified(asked(VERDICT, APPROVAL), "prod", SERVED, IMAGE) is None


@pytest.mark.parametrize(
    ("made", "environment", "image", "why"),
    [
        (chain(), "prod", IMAGE, "income/1 is no verdict"),
        (asked(replace(VERDICT, outcome="failed"), APPROVAL), "prod", IMAGE, "'failed'"),
        (asked(replace(VERDICT, model_sha256="other"), APPROVAL), "prod", IMAGE, "'other'"),
        (asked(VERDICT, APPROVAL), "staging", IMAGE, "'prod'"),
        (asked(VERDICT, APPROVAL), "prod", "copies/models@sha256:2", "judged was"),
        (asked(VERDICT), "prod", IMAGE, "0 of 1 approvals"),
    ],
    ids=["no-verdict", "failed", "other-model", "other-environment", "other-image", "not-approved"],
)
def test_what_no_gate_or_nobody_let_through_is_a_breach(
    made: ReleaseChain, environment: str, image: str, why: str
) -> None:
    assert why in str(check.unjustified(made, environment, SERVED, image))


class DamagedAccount(SimpleNamespace):
    """An account in which executions died, and whose metrics and alarms say what the test lets them say."""

    counts: dict[str, float]
    watched: bool
    statuses: dict[str, str]
    model = "income"
    machine = "arn"

    def client(self, service: str) -> Any:
        return self

    def get_paginator(self, name: str) -> Any:
        started = datetime(2026, 11, 21, tzinfo=UTC)
        found = [{"name": name, "status": status, "startDate": started} for name, status in self.statuses.items()]
        return SimpleNamespace(paginate=lambda **_: [{"executions": found}])

    def describe_alarms_for_metric(self, **_: Any) -> dict[str, Any]:
        return {"MetricAlarms": [{"AlarmActions": ["topic"]}] if self.watched else []}

    def get_metric_statistics(self, *, MetricName: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Datapoints": [{"Sum": self.counts[MetricName]}]}


def silent(outcome: str, status: str, failed: int, stuck: int, *, watched: bool = True) -> list[str]:
    world = DamagedAccount(
        counts={"ExecutionsFailed": failed, "Stuck": stuck}, watched=watched, statuses={"income-7-R2": status}
    )
    run = Run(1, 7, [], outcome=outcome)
    return check.silent(world, [run], datetime(2026, 11, 20, tzinfo=UTC))  # type: ignore[arg-type]


def test_a_bad_end_that_an_alarm_tells_is_no_breach() -> None:
    assert silent("stuck", "FAILED", failed=1, stuck=1) == []
    assert silent("released", "SUCCEEDED", failed=0, stuck=0) == []


def test_a_bad_end_of_which_no_alarm_tells_is_a_breach() -> None:
    assert "1 executions FAILED" in silent("failed", "FAILED", failed=0, stuck=0)[0]
    assert "Stuck says nothing" in silent("stuck", "FAILED", failed=1, stuck=0)[0]
    assert len(silent("stuck", "FAILED", failed=1, stuck=1, watched=False)) == 2
    assert silent("released", "RUNNING", failed=0, stuck=0) == ["income-7-R2 still runs"]


def test_a_copy_of_what_passes_that_is_refused_is_a_breach() -> None:
    refused = chain(
        replace(VERDICT, outcome="error", reasons=(records.reason("lineage", "error", "the evidence is gone"),))
    )
    (said,) = check.refusals(refused, Run(1, 7, [], outcome="refused"))
    assert "prod error: " in said
    assert "the evidence is gone" in said


def test_the_report_names_faults_by_kind_ends_and_every_kind_of_breach() -> None:
    who, call = plan.DEATHS[0]
    injected = [
        {"kind": "dies-before", "who": who, "call": call},
        {"kind": "event-lost", "function": "lockgate-controller"},
    ]
    runs = [Run(1, 7, [], injected, "released", resumed=True), Run(2, 8, [], [], "failed", why="DeploymentFailed")]
    none: dict[str, list[str]] = {kind: [] for kind in check.BREACHES}
    facts = {"runs": [run.as_dict() for run in runs], "minutes": 1, "breaches": {**none, check.LOST: ["run 3"]}}
    text = "\n".join(report(facts))
    assert f"1  dies-before   {plan.place_of(injected[0])} 1" in text
    assert "1  event-lost    controller 1" in text
    assert "1  released, resumed by the reconciler" in text
    assert "1  failed, DeploymentFailed" in text
    assert "lost: 1\n  run 3" in text
    assert f"{check.UNJUSTIFIED}: none" in text
