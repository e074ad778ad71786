"""Who may call the service: nobody from outside, and with [service.jwt] nobody without a token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JWT = """
[service.jwt]
issuer = "https://idp.example.com/"
jwks_endpoint = "https://idp.example.com/keys.json"
audience = "models"
"""
ENVIRONMENTS = ("dev", "staging", "prod")


@pytest.fixture
def edge(project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]) -> Callable[[str], dict[str, Any]]:
    """The resources of an environment's edge, where prod asks for tokens."""
    file = project / "environments" / "prod.toml"
    file.write_text(f"{file.read_text()}\n{JWT}\n")
    stages = new_app(project, tmp_path / "out").synth().nested_assemblies
    stacks = {stack.stack_name: stack.template for stage in stages for stack in stage.nested_assembly.stacks}
    return lambda environment: dict(stacks[f"lockgate-{environment}-edge"]["Resources"])


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: found["Properties"] for name, found in resources.items() if found["Type"] == kind}


def rules(resources: dict[str, Any], name: str) -> list[list[dict[str, Any]]]:
    found = of_type(resources, "AWS::ElasticLoadBalancingV2::ListenerRule")
    return [rule["Actions"] for logical, rule in found.items() if name in logical]


def test_a_stranger_is_asked_for_a_token_before_any_task_where_the_environment_says_so(
    edge: Callable[[str], dict[str, Any]],
) -> None:
    (actions,) = rules(edge("prod"), "ProductionRule")
    assert [(action["Type"], action["Order"]) for action in actions] == [("jwt-validation", 1), ("forward", 2)]
    assert actions[0]["JwtValidationConfig"] == {
        "Issuer": "https://idp.example.com/",
        "JwksEndpoint": "https://idp.example.com/keys.json",
        "AdditionalClaims": [{"Name": "aud", "Format": "single-string", "Values": ["models"]}],
    }
    (dev,) = rules(edge("dev"), "ProductionRule")
    assert [action["Type"] for action in dev] == ["forward"]


def test_the_replay_of_recorded_rows_needs_no_token_on_its_own_listener(edge: Callable[[str], dict[str, Any]]) -> None:
    (actions,) = rules(edge("prod"), "TestRule")
    assert [action["Type"] for action in actions] == ["forward"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_service_is_internal_and_closed_but_to_its_own_network(synthesized: Any, environment: str) -> None:
    stack = f"lockgate-{environment}-edge"
    balancer = synthesized.only("AWS::ElasticLoadBalancingV2::LoadBalancer", stack)
    assert balancer["Scheme"] == "internal"
    listeners = synthesized.resources("AWS::ElasticLoadBalancingV2::Listener", stack)
    assert {listener["Properties"]["Protocol"] for _, listener in listeners[:2]} == {"HTTPS"}
    opened: list[dict[str, Any]] = []
    for _, group in synthesized.resources("AWS::EC2::SecurityGroup", stack):
        opened += [rule for rule in group["Properties"].get("SecurityGroupIngress", []) if "CidrIp" in rule]
    opened += [
        rule["Properties"]
        for _, rule in synthesized.resources("AWS::EC2::SecurityGroupIngress", stack)
        if "CidrIp" in rule["Properties"]
    ]
    (network,) = (
        found["Properties"]["CidrBlock"]
        for _, found in synthesized.resources("AWS::EC2::VPC", stack)
        if found["Type"] == "AWS::EC2::VPC"
    )
    assert [(rule["CidrIp"], rule["FromPort"], rule["ToPort"]) for rule in opened] == [(network, 443, 443)]


def test_keys_of_the_issuer_are_fetched_over_https_only_where_tokens_are_asked_for(
    edge: Callable[[str], dict[str, Any]],
) -> None:
    def out(environment: str) -> set[tuple[Any, Any]]:
        groups = of_type(edge(environment), "AWS::EC2::SecurityGroup")
        (balancer,) = [group for logical, group in groups.items() if "LoadBalancer" in logical]
        rules = balancer.get("SecurityGroupEgress", [])
        return {(rule["FromPort"], rule["ToPort"]) for rule in rules if rule.get("CidrIp") == "0.0.0.0/0"}

    assert (out("prod"), out("dev")) == ({(443, 443)}, set())
