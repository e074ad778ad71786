"""The app is as light as agreed; what raises a ceiling says what that buys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scripts import weight

DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0015-what-is-one-thing.md"


@pytest.fixture(scope="module")
def weighed() -> tuple[weight.Figures, dict[str, dict[str, int]]]:
    return weight.weigh()


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, weight.Template]:
    folder = tmp_path_factory.mktemp("smallest")
    return weight.templates(weight.project(weight.SMALLEST, folder / "project"), folder / "out")


def test_nothing_is_above_its_ceiling(weighed: tuple[weight.Figures, dict[str, dict[str, int]]]) -> None:
    figures, _ = weighed
    assert set(weight.ceilings()) <= set(figures), "a ceiling of something that is not counted"
    assert weight.passed(figures) == []


def test_what_is_above_its_ceiling_is_said() -> None:
    name, most = next(iter(weight.ceilings().items()))
    (said,) = weight.passed({name: most + 1})
    assert said.startswith(f"{name}: found {most + 1:g}, expected at most {most:g}")


def test_each_raise_has_a_line_that_says_what_it_buys() -> None:
    rows = re.findall(r"^\| ([^|]+) \| +([\d.]+) \| +([\d.]+) \| ([^|]+) \|$", DECISION.read_text(), re.MULTILINE)
    bought = {name.strip(): float(to) for name, _, to, why in rows if len(why.split()) > 3}
    raised: dict[str, Any] = weight.read()["raised"]
    assert {name: bought.get(name) for name in raised} == raised
    assert set(raised) <= set(weight.read()["agreed"])


def test_the_smallest_form_is_one_account_one_load_balancer_and_no_anchor(
    smallest: dict[str, weight.Template],
) -> None:
    kinds = [each["Type"] for template in smallest.values() for each in template.get("Resources", {}).values()]
    assert kinds.count("AWS::ElasticLoadBalancingV2::LoadBalancer") == kinds.count("AWS::EC2::VPC") == 1
    assert "AWS::EC2::FlowLog" not in kinds
    assert not [name for name in smallest if "anchor" in name or "attestation" in name]
    text = "\n".join(map(str, smallest.values()))
    balancers_of_aws = "127311923021"  # whose account writes access logs in us-east-1
    assert set(re.findall(r"\b\d{12}\b", text)) - {"000000000000", balancers_of_aws} == {"111111111111"}


def test_environments_of_one_load_balancer_have_rules_of_their_own_by_host(
    smallest: dict[str, weight.Template],
) -> None:
    places, hosts = [], set()
    for name in ("dev", "staging", "prod"):
        for rule in smallest[f"lockgate-{name}-edge"]["Resources"].values():
            if rule["Type"] != "AWS::ElasticLoadBalancingV2::ListenerRule":
                continue
            properties = rule["Properties"]
            (host,) = [each for each in properties["Conditions"] if each["Field"] == "host-header"]
            hosts.add((name, *host["HostHeaderConfig"]["Values"]))
            places.append((str(properties["ListenerArn"]).partition(":")[2][-20:], properties["Priority"]))
    assert hosts == {
        ("dev", "dev.models.example.com"),
        ("staging", "staging.models.example.com"),
        ("prod", "models.example.com"),
    }
    assert len({priority for _, priority in places}) == 3, "one place for each environment on both listeners"


def test_a_deploy_function_serves_one_environment_also_where_they_share_a_load_balancer(
    smallest: dict[str, weight.Template],
) -> None:
    for name in ("dev", "staging", "prod"):
        others = {"dev", "staging", "prod"} - {name}
        for logical, role in smallest[f"lockgate-{name}-edge"]["Resources"].items():
            if role["Type"] == "AWS::IAM::Role" and logical.startswith(("Deploy", "ReleaseRole", "Promote", "Reader")):
                text = str(role["Properties"])
                assert not [other for other in others if f"lockgate-{other}-release" in text], (name, logical)
