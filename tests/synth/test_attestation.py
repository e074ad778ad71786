"""What builds an image cannot vouch for it, and nobody who delivers can make anybody vouch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def statements(synthesized: Any, action: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of a role's policy that allows an action, with the policy's name."""
    for name, statement in synthesized.statements():
        actions = statement["Action"]
        if statement["Effect"] == "Allow" and action in ([actions] if isinstance(actions, str) else actions):
            yield name, statement


def test_only_the_attestation_signs_by_its_policy_and_by_the_keys_own(synthesized: Any) -> None:
    (signer,) = statements(synthesized, "kms:Sign")
    assert "/ImageAttestation" in signer[0]
    keys = [key for _, key in synthesized.resources("AWS::KMS::Key") if key["Properties"].get("KeyUsage")]
    (key,) = keys
    assert (key["Properties"]["KeySpec"], key["Properties"]["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    (denied,) = [s for s in key["Properties"]["KeyPolicy"]["Statement"] if s["Effect"] == "Deny"]
    assert denied["Action"] == "kms:Sign"
    assert list(denied["Condition"]) == ["ArnNotEquals"]
    assert "lockgate-attestation" in json.dumps(denied["Condition"]["ArnNotEquals"]["aws:PrincipalArn"])


def test_the_gate_may_verify_and_the_attestation_too_and_nobody_else(synthesized: Any) -> None:
    assert sorted(name.split("/")[1][:5] for name, _ in statements(synthesized, "kms:Verify")) == ["GateR", "Image"]


def test_delivery_may_not_start_the_attestation(synthesized: Any) -> None:
    starting = {name: json.dumps(s["Resource"]) for name, s in statements(synthesized, "codebuild:StartBuild")}
    attesting = [name for name, resource in starting.items() if "project/lockgate-attestation" in resource]
    assert len(attesting) == 1
    assert "/Controller" in attesting[0]


def test_the_attestation_runs_no_container_and_the_stacks_own_code(synthesized: Any) -> None:
    project = synthesized.only("AWS::CodeBuild::Project", Name="lockgate-attestation")
    assert project["Environment"]["PrivilegedMode"] is False
    assert "cdk-" in json.dumps(project["Source"]["Location"])
    commands = json.dumps(project["Source"]["BuildSpec"])
    assert "docker" not in commands
    assert "--require-hashes" in commands


def test_scan_findings_are_read_of_one_repository_and_an_unfinished_scan_is_an_alarm(synthesized: Any) -> None:
    ((_, statement),) = statements(synthesized, "ecr:DescribeImageScanFindings")
    assert "ModelImages" in json.dumps(statement["Resource"])
    assert "*" not in json.dumps(statement["Resource"])
    alarm = synthesized.only("AWS::CloudWatch::Alarm", "lockgate-tools-promotion", MetricName="ScanUnfinished")
    assert alarm["Namespace"] == "Lockgate"
    assert alarm["AlarmActions"]
