"""No role has two duties that must not be in one hand, read from what the templates allow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import pytest

from lockgate import names

TOOLS, ANCHOR, REGION = "111111111111", "555555555555", "us-east-1"
LEDGER, EVIDENCE, LABELS = (
    f"arn:aws:s3:::{names.bucket(each, TOOLS, REGION)}" for each in ("ledger", "evidence", "labels")
)
ANCHORED = f"arn:aws:s3:::{names.anchor_bucket(ANCHOR, REGION)}"
# duty: what a role may do that has it, each as an action and a part of the resource
DUTIES: dict[str, tuple[tuple[str, str], ...]] = {
    "approves": (("states:SendTaskSuccess", ""),),
    "deploys": (
        ("cloudformation:UpdateStack", ""),
        ("sts:AssumeRole", "-promote"),
        ("lambda:InvokeFunction", "DeployFunction"),
        ("ecs:UpdateService", ""),
    ),
    "records": (("s3:PutObject", LEDGER),),
    "keeps the heads": (("s3:PutObject", ANCHORED),),
    "writes evidence": (("s3:PutObject", EVIDENCE),),
    "reads labels": (("s3:GetObject", LABELS),),
    "vouches": (("kms:Sign", ""),),
    "delivers": (("sagemaker:StartPipelineExecution", ""),),
}
# In one hand these undo what the other is there for.
APART = (
    ("approves", "deploys"),
    ("deploys", "records"),
    ("records", "keeps the heads"),
    ("writes evidence", "records"),
    ("writes evidence", "approves"),
    ("vouches", "approves"),
    ("vouches", "records"),
    ("vouches", "delivers"),
    *(("delivers", other) for other in ("approves", "deploys", "records", "keeps the heads", "writes evidence")),
    ("delivers", "reads labels"),
)
# A person's role that may call the URL of the deploy function has no other way to it, and cannot say what is deployed.
THROUGH_URL = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def duties_of(statements: Iterable[Mapping[str, Any]]) -> set[str]:
    """The duties that a role has by these statements."""
    found = set()
    for statement in statements:
        if statement["Effect"] != "Allow" or statement.get("Condition") == THROUGH_URL:
            continue
        resources = [json.dumps(resource) for resource in listed(statement["Resource"])]
        for duty, ways in DUTIES.items():
            for action, part in ways:
                if action in listed(statement["Action"]) and any(part in resource for resource in resources):
                    found.add(duty)
    return found


def roles(synthesized: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, statement in synthesized.statements():
        found.setdefault(name, []).append(statement)
    return found


def test_no_role_has_two_duties_that_must_be_apart(synthesized: Any) -> None:
    held = {name: duties_of(statements) for name, statements in roles(synthesized).items()}
    assert {duty for duties in held.values() for duty in duties} >= {duty for pair in APART for duty in pair}
    for name, duties in held.items():
        assert not [pair for pair in APART if set(pair) <= duties], name


@pytest.mark.parametrize("pair", APART, ids=" and ".join)
def test_two_such_duties_in_one_role_would_be_found(pair: tuple[str, str]) -> None:
    planted = [
        {"Effect": "Allow", "Action": action, "Resource": f"{part}x"}
        for duty in pair
        for action, part in DUTIES[duty][:1]
    ]
    assert set(pair) <= duties_of(planted)


def test_a_person_may_call_urls_and_nothing_else(synthesized: Any) -> None:
    """Approving, breaking the glass and taking back are said to functions, which decide what becomes of it."""
    persons = [
        name
        for name, role in synthesized.resources("AWS::IAM::Role")
        if "${aws:username}" in json.dumps(role["Properties"]["AssumeRolePolicyDocument"])
    ]
    assert len(persons) == 2 + 3
    reached = {}
    for name in persons:
        statements = roles(synthesized)[name]
        assert {action.partition(":")[0] for s in statements for action in listed(s["Action"])} == {"lambda"}, name
        assert all(s.get("Condition") == THROUGH_URL for s in statements if s["Action"] == "lambda:InvokeFunction")
        reached[name] = {json.dumps(resource) for s in statements for resource in listed(s["Resource"])}
    for one, other in combinations(persons, 2):
        if one.partition("/")[0] == other.partition("/")[0]:
            assert not reached[one] & reached[other], "approving and breaking the glass are different functions"


def test_what_judges_a_deployment_changes_none(synthesized: Any) -> None:
    for environment in ("dev", "staging", "prod"):
        for name, statements in roles(synthesized).items():
            if name.startswith(f"lockgate-{environment}-edge/Hooks"):
                actions = {action for s in statements for action in listed(s["Action"])}
                assert not {a for a in actions if a.startswith(("cloudformation:", "iam:", "sts:"))}, name
                assert not duties_of(statements), name


def test_who_writes_findings_writes_no_journal(synthesized: Any) -> None:
    """IAM's `*` stands for slashes too, so `*/findings/*` alone would allow `<model>/journal/findings/x`."""
    writers = {}
    for name, statements in roles(synthesized).items():
        puts = [each for each in statements if "s3:PutObject" in listed(each["Action"])]
        said = {
            effect: [
                json.dumps(resource)
                for each in puts
                if each["Effect"] == effect
                for resource in listed(each["Resource"])
            ]
            for effect in ("Allow", "Deny")
        }
        if any("/findings/*" in resource for resource in said["Allow"]):
            writers[name] = said["Deny"]
    assert len(writers) == 2 * 3, "replay and watch of each environment"
    assert all(any("*/journal/*" in resource for resource in denied) for denied in writers.values()), writers
