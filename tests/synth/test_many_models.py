"""Thirty models in one app stay within what AWS takes, and a model comes and goes with its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from stacks import edge
from stacks.edge import MOST_MODELS, MOST_RULES
from tests.synth.conftest import build, make_project, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Once
    from tests.synth.conftest import Synthesized

MODELS = tuple(f"a-model-with-a-long-name-no-{number:03d}" for number in range(30))

RESOLVED = "x" * 60  # what a reference becomes, about: an account, a region, the name or the ARN of something


def size(document: Any) -> int:
    """Characters of a document once CloudFormation resolved it; AWS counts policies without spaces."""
    joined = json.dumps(_joined(document), separators=(",", ":"))
    return len(joined)


def _joined(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"Fn::Join"}:
            return "".join(str(_joined(each)) for each in value["Fn::Join"][1])
        if set(value) in ({"Ref"}, {"Fn::GetAtt"}, {"Fn::ImportValue"}, {"Fn::Select"}, {"Fn::Sub"}):
            return "aws" if value.get("Ref") == "AWS::Partition" else RESOLVED
        return {key: _joined(each) for key, each in value.items()}
    return [_joined(each) for each in value] if isinstance(value, list) else value


def sizes(app: Synthesized) -> Iterator[tuple[str, str, int]]:
    """What AWS limits, where, and how much of it there is."""
    for stack, template in app.stacks.items():
        yield "resources of a stack", stack, len(template.get("Resources", {}))
        yield "bytes of a template", stack, len(json.dumps(template))
        yield "outputs of a stack", stack, len(template.get("Outputs", {}))
    for name, resource in app.resources():
        properties, kind = resource.get("Properties", {}), resource["Type"]
        if kind == "AWS::IAM::Role":
            inline = properties.get("Policies", [])
            yield "characters of a role's own policies", name, sum(size(each["PolicyDocument"]) for each in inline)
            yield "characters of a role's trust", name, size(properties["AssumeRolePolicyDocument"])
        elif kind == "AWS::Events::Rule":
            yield "targets of a rule", name, len(properties.get("Targets", []))
            yield "characters of an event pattern", name, size(properties.get("EventPattern", {}))
            yield (
                "characters of a target's input",
                name,
                max((size(target.get("Input", "")) for target in properties.get("Targets", [])), default=0),
            )
        elif kind == "AWS::Lambda::Function":
            yield "characters of a function's environment", name, size(properties.get("Environment", {}))
        elif kind == "AWS::KMS::Key":
            yield "characters of a key's policy", name, size(properties["KeyPolicy"])
        elif kind == "AWS::S3::BucketPolicy":
            yield "characters of a bucket's policy", name, size(properties["PolicyDocument"])
        elif kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
            yield "characters of a queue's or topic's policy", name, size(properties["PolicyDocument"])
        elif kind == "AWS::StepFunctions::StateMachine":
            yield "characters of a workflow", name, size(properties.get("DefinitionString", ""))


# https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html has a page on each service's quotas.
MOST = {
    "resources of a stack": 500,
    "bytes of a template": 1_000_000,
    "outputs of a stack": 200,
    "characters of a role's own policies": 10_240,
    "characters of a role's trust": 2_048,
    "targets of a rule": 5,
    "characters of an event pattern": 2_048,
    "characters of a target's input": 8_192,
    "characters of a function's environment": 4_096,
    "characters of a key's policy": 32_768,
    "characters of a bucket's policy": 20_480,
    "characters of a queue's or topic's policy": 30_720,
    "characters of a workflow": 1_048_576,
}


@pytest.fixture(scope="module")
def thirty(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    def synth(directory: Path) -> None:
        root = make_project(tmp_path_factory.mktemp("thirty") / "root", MODELS)
        for name in ("dev", "staging"):
            (root / "environments" / f"{name}.toml").unlink()
        tools = root / "environments" / "tools.toml"
        tools.write_text(tools.read_text().replace('["dev", "staging", "prod"]', '["prod"]'))
        build(root, directory).synth()

    return read(once("assembly-of-thirty-models", synth))


@pytest.mark.parametrize("what", MOST)
def test_thirty_models_stay_within_what_aws_takes(thirty: Synthesized, what: str) -> None:
    found = {where: much for each, where, much in sizes(thirty) if each == what}
    assert found
    assert {where: much for where, much in found.items() if much > MOST[what]} == {}


def test_synth_warns_where_outputs_of_a_stack_would_run_out(thirty: Synthesized) -> None:
    outputs = max(len(template.get("Outputs", {})) for template in thirty.stacks.values())
    assert outputs + 5 * (MOST_MODELS - len(MODELS)) == MOST["outputs of a stack"]


def test_synth_says_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of limits that two models pass: more models would take a minute."""
    monkeypatch.setattr(edge, "MOST_MODELS", 1)
    monkeypatch.setattr(edge, "MOST_RULES", 3)
    app = build(make_project(tmp_path / "root", ("alpha", "beta")), tmp_path / "out")
    stack = app.node.find_child("dev").node.find_child("edge")
    said = [str(entry.data) for entry in stack.node.metadata]
    assert any("found 2 models, expected 1 at most" in each for each in said), said
    assert any("found 4 rules on one load balancer, expected 3 at most" in each for each in said), said


def test_a_load_balancer_takes_the_rules_and_target_groups_of_thirty_models(thirty: Synthesized) -> None:
    """AWS counts both for each load balancer, and default rules not."""
    for kind in ("ListenerRule", "TargetGroup"):
        found = thirty.resources(f"AWS::ElasticLoadBalancingV2::{kind}", "lockgate-prod-edge")
        assert len(found) == 2 * len(MODELS) <= MOST_RULES, kind


def test_no_rights_of_a_role_overflow_into_a_managed_policy(thirty: Synthesized) -> None:
    """CDK would put them there, where the boundary's rights do not reach, and no role may have more than ten."""
    assert thirty.resources("AWS::IAM::ManagedPolicy") == []


def test_every_model_has_a_way_to_its_tasks_and_is_looked_at(thirty: Synthesized) -> None:
    looks = [
        json.loads(target["Input"])["model"]
        for _, rule in thirty.resources("AWS::Events::Rule", "lockgate-prod-edge")
        for target in rule["Properties"]["Targets"]
        if "look" in str(target.get("Input"))
    ]
    assert sorted(looks) == sorted(MODELS)
    assert {f"lockgate-prod-release-{model}" for model in MODELS} <= set(thirty.stacks)


@pytest.fixture(scope="module")
def before_and_after(thirty: Synthesized, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An app of two models, and of the second of them alone."""

    def synth(models: tuple[str, ...]) -> Synthesized:
        folder = tmp_path_factory.mktemp("models")
        build(make_project(folder / "root", models), folder / "out").synth()
        return read(folder / "out")

    return synth(("alpha", "beta")), synth(("beta",))


def test_what_is_left_when_a_models_folder_goes_is_not_changed(before_and_after: Any) -> None:
    """But for the bundle of the functions, which holds its policy, and for the lists of models."""
    before, after = before_and_after
    gone = set(before.stacks) - set(after.stacks)
    assert gone == {f"lockgate-{environment}-release-alpha" for environment in ("dev", "staging", "prod")}
    assert {
        stack for stack in after.stacks if "release-beta" in stack and before.stacks[stack] != after.stacks[stack]
    } == set()
    roles = dict(before.resources("AWS::IAM::Role"))
    changed = [name for name, resource in after.resources("AWS::IAM::Role") if roles[name] != resource]
    # One writes the model's logs, the other reads the bundle by the digest of what is in it.
    assert {name.rpartition("/")[2][:12] for name in changed} == {"ExecutionRol", "ImageAttesta"}, (
        "no right names a model"
    )


def test_the_registry_and_the_released_models_of_a_model_that_left_stay(before_and_after: Any) -> None:
    before, _ = before_and_after
    groups = dict(before.resources("AWS::SageMaker::ModelPackageGroup"))
    assert {group["DeletionPolicy"] for group in groups.values()} == {"Retain"}
