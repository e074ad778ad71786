"""What a pipeline definition means, without any server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from local.sagemaker import definition
from local.sagemaker.definition import DefinitionError


def _parse(steps: list[dict[str, Any]], parameters: Any = ()) -> definition.Definition:
    return definition.parse(json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": steps}))


def _step(name: str, **arguments: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Processing", "Arguments": arguments}


def test_a_reference_makes_a_dependency_wherever_it_stands() -> None:
    joined = {"Std:Join": {"On": "/", "Values": [{"Get": "Steps.a.ProcessingJobArn"}, "x"]}}
    report = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.b.PropertyFiles.report"}, "Path": "x"}}
    plan = _parse([_step("c", Deep=[{"Er": joined}], Report=report), _step("a"), _step("b")])
    assert plan.steps["c"].depends_on == {"a", "b"}


def test_the_steps_of_a_branch_depend_on_their_condition_and_the_condition_not_on_their_references() -> None:
    inner = _step("inner", Uri={"Get": "Steps.other.Uri"})
    condition = {"Name": "c", "Type": "Condition", "Arguments": {"Conditions": [], "IfSteps": [inner], "ElseSteps": []}}
    plan = _parse([condition, _step("other")])
    assert plan.steps["c"].depends_on == frozenset()
    assert plan.steps["inner"].depends_on == {"c", "other"}
    assert plan.steps["inner"].branch == ("c", "IfSteps")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Unable to parse"),
        ('{"Version": "2019-01-01", "Steps": []}', "Version"),
        ('{"Version": "2020-12-01", "Steps": []}', "At least 1 step"),
        ('{"Version": "2020-12-01", "Steps": [{"Type": "Fail"}]}', "Unable to parse.*Name"),
        ('{"Version": "2020-12-01", "Steps": [{"Name": "a", "Type": "Dance"}]}', "Dance"),
        (
            '{"Version": "2020-12-01", "Steps": [{"Name": "a", "Type": "Fail"}, {"Name": "a", "Type": "Fail"}]}',
            "unique",
        ),
        ('{"Version": "2020-12-01", "Parameters": [{"Name": "p", "Type": "Date"}], "Steps": []}', "Date"),
        (
            '{"Version": "2020-12-01", "Steps": [{"Name": "a", "Type": "Fail", '
            '"Arguments": {"ErrorMessage": {"Get": "Parameters.None"}}}]}',
            "undefined parameter",
        ),
    ],
)
def test_a_definition_that_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        definition.parse(text)


def test_parameters_are_typed_over_their_defaults() -> None:
    declared = [
        {"Name": "n", "Type": "Integer", "DefaultValue": 1},
        {"Name": "f", "Type": "Float"},
        {"Name": "b", "Type": "Boolean", "DefaultValue": False},
        {"Name": "s", "Type": "String", "EnumValues": ["x", "y"], "DefaultValue": "x"},
    ]
    plan = _parse([_step("a")], declared)
    given = [{"Name": "f", "Value": "0.5"}, {"Name": "b", "Value": "true"}, {"Name": "s", "Value": "y"}]
    assert definition.arguments(plan, given) == {"n": 1, "f": 0.5, "b": True, "s": "y"}
    with pytest.raises(DefinitionError, match="s"):
        definition.arguments(plan, [*given[:2], {"Name": "s", "Value": "z"}])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b[1]", 2),
        ("Outputs['train'].S3Output.S3Uri", "s3://t"),
        ('Outputs["train"].S3Output.S3Uri', "s3://t"),
    ],
)
def test_a_path_reaches_into_maps_lists_and_named_items(path: str, value: Any) -> None:
    document = {"a": {"b": [1, 2]}, "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": "s3://t"}}]}
    assert definition.at(document, path) == value


@pytest.mark.parametrize("path", ["a.c", "a.b[9]", "Outputs['x']", "a..b", "a["])
def test_a_path_to_nothing_is_an_error(path: str) -> None:
    with pytest.raises(DefinitionError):
        definition.at({"a": {"b": [1]}, "Outputs": []}, path)


def test_conditions_compare_negate_and_combine() -> None:
    greater = {"Type": "GreaterThan", "LeftValue": 2, "RightValue": 1.5}
    equal = {"Type": "Equals", "LeftValue": "a", "RightValue": "b"}
    assert definition.holds(greater)
    assert not definition.holds({"Type": "Not", "Expression": greater})
    assert definition.holds({"Type": "Or", "Conditions": [equal, greater]})
    assert definition.holds({"Type": "In", "QueryValue": "a", "Values": ["a", "b"]})
    with pytest.raises(DefinitionError, match="cannot compare"):
        definition.holds({"Type": "LessThan", "LeftValue": "0.5", "RightValue": 1})


def test_an_archive_depends_on_paths_bytes_and_executable_bits_only(tmp_path: Path) -> None:
    from local.sagemaker.storage import archive

    archives = []
    for folder, names in (("one", ("a", "b/c")), ("two", ("b/c", "a"))):
        for position, name in enumerate(names):
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
            file.chmod(0o600 if position else 0o644)
            os.utime(file, (position, position))
        archives.append(archive(tmp_path / folder))
    assert archives[0] == archives[1]
    (tmp_path / "two" / "a").chmod(0o755)
    assert archive(tmp_path / "two") != archives[0]
