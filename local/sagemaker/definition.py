"""A pipeline definition (version 2020-12-01): what it says, in which order, with which values. Pure."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

VERSION = "2020-12-01"
STEP_TYPES = ("Processing", "Training", "RegisterModel", "Condition", "Fail", "Lambda")
_PART = re.compile(r"\.?([A-Za-z0-9_-]+)|\[(?:(\d+)|'([^']*)'|\"([^\"]*)\")\]")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_NAMES = ("OutputName", "InputName", "MetricName", "Name")  # members that name an item of a list


class DefinitionError(ValueError):
    """The definition, or a value given to it, is not one SageMaker accepts; the message says where."""


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    default: Any = None
    allowed: tuple[Any, ...] = ()


@dataclass(frozen=True)
class PipelineStep:
    """One step, also those inside a Condition: `branch` is then (condition step, "IfSteps" or "ElseSteps")."""

    name: str
    type: str
    body: Mapping[str, Any]
    depends_on: frozenset[str]
    branch: tuple[str, str] | None = None


@dataclass(frozen=True)
class Definition:
    parameters: Mapping[str, Parameter]
    steps: Mapping[str, PipelineStep] = field(default_factory=dict)


def parse(text: str) -> Definition:
    """Read and check a definition. Raises DefinitionError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DefinitionError(f"Unable to parse pipeline definition. {error}") from error
    if not isinstance(document, dict) or document.get("Version") != VERSION:
        raise DefinitionError(f"Unable to parse pipeline definition. Version must be '{VERSION}'.")
    try:
        return _read(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise DefinitionError(f"Unable to parse pipeline definition. {type(error).__name__}: {error}") from error


def arguments(definition: Definition, given: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Every parameter's value for one execution: the given ones, typed, over the defaults."""
    values = {item["Name"]: item.get("Value", "") for item in given}
    unknown = sorted(set(values) - set(definition.parameters))
    if unknown:
        raise DefinitionError(f"Parameters [{', '.join(unknown)}] do not exist in the pipeline definition.")
    known = definition.parameters.values()
    missing = [item.name for item in known if item.default is None and item.name not in values]
    if missing:
        raise DefinitionError(f"Assignment of parameters [{', '.join(missing)}] is required: they have no default.")
    return {item.name: _typed(item, values[item.name]) if item.name in values else item.default for item in known}


def resolve(value: Any, look_up: Callable[[str], Any], read: Callable[[Mapping[str, Any]], Any]) -> Any:
    """`value` with every Get, Std:Join and Std:JsonGet replaced.

    look_up: value of a reference such as "Parameters.Image"; read: the document a Std:JsonGet reads.
    """
    if isinstance(value, list):
        return [resolve(item, look_up, read) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Get"}:
        return look_up(value["Get"])
    if value.keys() == {"Std:Join"}:
        parts = resolve(value["Std:Join"]["Values"], look_up, read)
        return str(value["Std:Join"]["On"]).join(map(_text, parts))
    if value.keys() == {"Std:JsonGet"}:
        source = value["Std:JsonGet"]
        return at(read(source), resolve(source["Path"], look_up, read))
    return {key: resolve(item, look_up, read) for key, item in value.items()}


def at(document: Any, path: str) -> Any:
    """The part of a document at a path such as `a.b[0].c` or `Outputs['train'].S3Output`. Raises DefinitionError."""
    position, found = 0, document
    while position < len(path):
        part = _PART.match(path, position)
        if part is None:
            raise DefinitionError(f"Invalid path [{path}] at [{path[position:]}].")
        position = part.end()
        plain, index, *quoted = part.groups()
        try:
            key = plain or next((text for text in quoted if text is not None), "")
            found = found[int(index)] if index else _item(found, key)
        except (KeyError, IndexError, TypeError, StopIteration) as error:
            raise DefinitionError(f"Property path [{path}] not found.") from error
    return found


def holds(condition: Mapping[str, Any]) -> bool:
    """Whether a condition whose references are resolved holds. Numbers compare as numbers."""
    kind = condition["Type"]
    if kind == "Not":
        return not holds(condition["Expression"])
    if kind == "Or":
        return any(holds(item) for item in condition["Conditions"])
    if kind == "In":
        return bool(condition["QueryValue"] in condition["Values"])
    left, right = condition["LeftValue"], condition["RightValue"]
    if kind == "Equals":
        return bool(left == right)
    if kind not in _COMPARISONS:
        raise DefinitionError(f"Unknown condition type [{kind}].")
    try:
        return bool(_COMPARISONS[kind](left, right))
    except TypeError as error:
        raise DefinitionError(f"Condition {kind} cannot compare [{left}] with [{right}].") from error


def _read(document: Mapping[str, Any]) -> Definition:
    parameters: dict[str, Parameter] = {}
    for item in document.get("Parameters", []):
        parameter = Parameter(item["Name"], item["Type"], item.get("DefaultValue"), tuple(item.get("EnumValues", ())))
        if parameter.type not in ("String", "Integer", "Float", "Boolean"):
            raise DefinitionError(f"Parameter [{parameter.name}] has unknown type [{parameter.type}].")
        parameters[parameter.name] = parameter
    steps: dict[str, PipelineStep] = {}
    for step in _steps(document.get("Steps", []), None):
        if step.name in steps:
            raise DefinitionError(f"Step names must be unique within a pipeline: [{step.name}] is used twice.")
        steps[step.name] = step
    if not steps:
        raise DefinitionError("At least 1 step must be provided in the pipeline definition.")
    _check_references(parameters, steps)
    return Definition(parameters, steps)


def _steps(bodies: Sequence[Mapping[str, Any]], branch: tuple[str, str] | None) -> Iterator[PipelineStep]:
    for body in bodies:
        name, kind = body["Name"], body["Type"]
        if kind not in STEP_TYPES:
            raise DefinitionError(f"Step [{name}] has type [{kind}], must be one of {list(STEP_TYPES)}.")
        own = body.get("Arguments", {})
        nested = {key: own.get(key, []) for key in ("IfSteps", "ElseSteps")} if kind == "Condition" else {}
        used = {key: item for key, item in own.items() if key not in nested}
        depends_on = {reference.split(".")[1] for reference in _references(used) if reference.startswith("Steps.")}
        depends_on |= set(body.get("DependsOn", [])) | ({branch[0]} if branch else set())
        yield PipelineStep(name, kind, body, frozenset(depends_on), branch)
        for key, inner in nested.items():
            yield from _steps(inner, (name, key))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        if value.keys() == {"Get"}:
            yield value["Get"]
        for item in value.values():
            yield from _references(item)


def _check_references(parameters: Mapping[str, Parameter], steps: Mapping[str, PipelineStep]) -> None:
    for step in steps.values():
        for name in step.depends_on - steps.keys():
            raise DefinitionError(f"Step [{step.name}] refers to step [{name}], which does not exist.")
        for reference in _references(step.body.get("Arguments", {})):
            if reference.startswith("Parameters.") and reference.split(".", 1)[1] not in parameters:
                raise DefinitionError(f"Step [{step.name}] refers to undefined parameter [{reference}].")
    try:
        TopologicalSorter({step.name: step.depends_on for step in steps.values()}).prepare()
    except CycleError as error:
        raise DefinitionError(f"Steps depend on each other in a cycle: {' -> '.join(error.args[1])}.") from error


def _typed(parameter: Parameter, text: str) -> Any:
    problem = DefinitionError(
        f"Invalid value [{text}] for parameter [{parameter.name}]: expected type {parameter.type}"
        + (f" in {list(parameter.allowed)}." if parameter.allowed else ".")
    )
    try:
        if parameter.type == "Boolean":
            value: Any = {"true": True, "false": False}[text.lower()]
        else:
            value = {"String": str, "Integer": int, "Float": float}[parameter.type](text)
    except (ValueError, KeyError) as error:
        raise problem from error
    if text == "" or (parameter.allowed and value not in parameter.allowed):
        raise problem
    return value


def _item(found: Any, key: str) -> Any:
    if isinstance(found, list):
        return next(item for item in found if key in (item.get(name) for name in _NAMES))
    return found[key]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
