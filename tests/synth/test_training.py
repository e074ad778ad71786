"""Pipelines and package groups: one each a model, from the checked-in definition, with every placeholder replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.configuration.project import read_configuration
from lockgate.errors import ConfigError


def definition_of(synthesized: Any, model: str) -> str:
    pipeline = synthesized.only("AWS::SageMaker::Pipeline", PipelineName=f"lockgate-{model}")
    body = pipeline["PipelineDefinition"]["PipelineDefinitionBody"]
    return (
        body
        if isinstance(body, str)
        else "".join(
            part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in body["Fn::Join"][1]
        )
    )


def test_each_model_has_a_pipeline_and_a_package_group(synthesized: Any) -> None:
    pipelines = {p["Properties"]["PipelineName"] for _, p in synthesized.resources("AWS::SageMaker::Pipeline")}
    groups = {
        group["Properties"]["ModelPackageGroupName"]
        for _, group in synthesized.resources("AWS::SageMaker::ModelPackageGroup")
    }
    assert pipelines == groups == {"lockgate-alpha", "lockgate-beta"}


def test_every_placeholder_is_replaced(synthesized: Any) -> None:
    assert "{{" not in definition_of(synthesized, "alpha")


def test_the_evaluator_is_the_pinned_one(synthesized: Any) -> None:
    steps = json.loads(definition_of(synthesized, "alpha"))["Steps"]
    filled = {name: value for step in steps for name, value in step.items()}
    repository = "111111111111.dkr.ecr.us-east-1.amazonaws.com/lockgate-evaluator"
    assert filled["EvaluatorImage"] == f"<{repository}@sha256:{'e' * 64}>"
    assert filled["PackageGroup"] == "<lockgate-alpha>"
    assert "TrainingRole" in filled["TrainingRole"] or "Training" in filled["TrainingRole"]


def test_what_builds_the_evaluator_is_deployed_before_all_that_pins_it(synthesized: Any) -> None:
    """Else the first deploy of tools would be two: one to build the image, one with its digest."""
    manifest = json.loads((synthesized.directory / "assembly-tools" / "manifest.json").read_text())["artifacts"]
    stacks = {name: each for name, each in manifest.items() if each["type"] == "aws:cloudformation:stack"}
    (builds,) = (name for name, each in stacks.items() if each["properties"]["stackName"] == "lockgate-tools-delivery")
    first, found = {builds}, {builds}
    while found:
        found = {name for each in found for name in stacks[each]["dependencies"] if name in stacks} - first
        first |= found
    templates = {
        stacks[name]["properties"]["stackName"]: synthesized.stacks[stacks[name]["properties"]["stackName"]]
        for name in first
    }
    assert set(templates) == {"lockgate-tools-artifacts", "lockgate-tools-delivery"}
    for template in templates.values():
        assert "lockgate-evaluator@" not in json.dumps(template)
        assert not [each for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function"]


def test_placeholders_are_replaced_deep_inside_strings() -> None:
    from lockgate_constructs.pipeline_definition import fill

    given = {"a": ["s3://{{Bucket}}/{{Model}}/x", 1, None], "{{Model}}": True}
    assert fill(given, {"Bucket": "b", "Model": "m"}, file="f") == {"a": ["s3://b/m/x", 1, None], "{{Model}}": True}


def test_an_unknown_placeholder_is_refused() -> None:
    from lockgate_constructs.pipeline_definition import fill

    with pytest.raises(ConfigError, match=r"model/pipeline.json: \{\{Bukcet\}\}: found .*unknown.*one of Bucket"):
        fill(["{{Bukcet}}"], {"Bucket": "b"}, file="model/pipeline.json")


def test_a_value_that_no_placeholder_asks_for_is_refused() -> None:
    from lockgate_constructs.pipeline_definition import fill

    with pytest.raises(ConfigError, match=r"Bucket.*found nothing"):
        fill(["no placeholder"], {"Bucket": "b"}, file="model/pipeline.json")


def test_a_build_tags_the_commit_and_pushes_nothing_else(synthesized: Any) -> None:
    project = synthesized.only("AWS::CodeBuild::Project", Name="lockgate-image")
    commands = json.dumps(project["Source"]["BuildSpec"])
    assert commands.count("push=true") == 1
    assert "name=$REPOSITORY_URI:$COMMIT,push=true" in commands
    assert "SOURCE_DATE_EPOCH=0" in commands
    assert "rewrite-timestamp=true" in commands
    assert project["LogsConfig"]["CloudWatchLogs"]["Status"] == "ENABLED"
    assert project["TimeoutInMinutes"] == 30
    assert project["EncryptionKey"]


def test_a_holdout_of_few_rows_is_warned_of_at_synth(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    policy = project / "model" / "alpha" / "policy.toml"
    policy.write_text(f"holdout_rows = 500\n{policy.read_text()}")
    app = new_app(project, tmp_path / "out")
    stack = app.node.find_child("tools").node.find_child("training")
    (warning,) = [each.data for each in stack.node.metadata if each.type == "aws:cdk:warning"]
    assert "alpha: rule 'ranking': passes none (of 500 rows" in warning


def test_a_model_that_comes_back_uses_the_package_group_that_was_kept(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    """A group's name is taken once: a stack that made it again would fail at it."""
    _keep(project, "alpha")
    app = new_app(project, tmp_path / "out")
    stack = app.node.find_child("tools").node.find_child("training")
    kinds = {each.cfn_resource_type for each in stack.node.find_all() if hasattr(each, "cfn_resource_type")}
    assert "AWS::SageMaker::Pipeline" in kinds
    assert "AWS::SageMaker::ModelPackageGroup" not in kinds


def test_a_kept_group_of_no_model_is_refused(project: Path) -> None:
    _keep(project, "gone")
    with pytest.raises(
        ConfigError, match=r"training.kept_groups: found \['gone'\], expected of the models that there are"
    ):
        read_configuration(project)


def _keep(project: Path, model: str) -> None:
    tools = project / "environments" / "tools.toml"
    text = tools.read_text()
    assert "[training]\n" in text
    tools.write_text(text.replace("[training]\n", f'[training]\nkept_groups = ["{model}"]\n'))
