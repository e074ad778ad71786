"""The faults of a run follow from its seed, and enough runs meet every kind in every function."""

from __future__ import annotations

from bench.faults import plan


def test_the_same_seed_plans_the_same_faults() -> None:
    assert plan.faults(7) == plan.faults(7)
    assert plan.faults(7) != plan.faults(8)


def test_two_hundred_runs_meet_every_kind_and_every_function_dies() -> None:
    planned = [fault for seed in range(1, 201) for fault in plan.faults(seed)]
    assert {fault["kind"] for fault in planned} == set(plan.KINDS)
    died = {fault["who"] for fault in planned if fault["kind"].startswith("dies")}
    assert died == {who for who, _ in plan.FUNCTIONS.values()}


def test_the_embedded_aws_is_not_asked_to_kill_tasks() -> None:
    planned = [fault for seed in range(1, 201) for fault in plan.faults(seed)]
    assert plan.TASK_KILLED not in {rule["kind"] for rule in plan.rules(planned)}


def test_a_role_is_called_by_its_functions_name() -> None:
    assert plan.function_of("lockgate-gate") == "gate"
    assert plan.function_of("lockgate-tools-promotion-IntakeRole0FD4-1") == "intake"
    assert plan.function_of("lockgate-prod-deploy") == "deploy in prod"
