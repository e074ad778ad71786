"""Every request and response of the service, checked against AWS's own service model as botocore ships it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape

Response = tuple[int, dict[str, str], bytes]

_KINDS: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
    "blob": (str,),
}
_HEADERS = {"Content-Type": "application/x-amz-json-1.1"}


class ApiError(Exception):
    """An error that the service answers: its AWS code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def parse(operation: str, body: bytes) -> dict[str, Any]:
    """The request as AWS reads it: JSON, null members dropped, checked. Raises ApiError as AWS answers it."""
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("SerializationException", "Unable to parse the request body as JSON") from error
    if not isinstance(given, dict):
        raise ApiError("SerializationException", "Start of structure or map found where not expected.")
    request: dict[str, Any] = _without_nulls(given)
    check(operation, request)
    return request


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Raise what AWS answers to a request that does not fit the operation's input.

    A wrong JSON type is a SerializationException; a missing member or a broken enum, length, range or pattern
    is a ValidationException. Unknown members are refused too: AWS's clients refuse them before sending, and a
    caller without a model (a state machine, a pipeline step) must not get away with a typing error here.
    """
    problems = list(_problems(_model().operation_model(operation).input_shape, request, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise invalid(count + "; ".join(problems))


def succeed(operation: str, answer: Mapping[str, Any]) -> Response:
    """The response with the members the model names and no others. An answer that breaks the model is a defect."""
    shape = _model().operation_model(operation).output_shape
    if shape is None:
        return 200, dict(_HEADERS), b""
    body = _selected(shape, answer)
    problems = list(_problems(shape, body, ""))
    if problems:
        raise RuntimeError(f"{operation} would answer what AWS cannot: {'; '.join(problems)}")
    return 200, dict(_HEADERS), json.dumps(body).encode()


def fail(error: ApiError) -> Response:
    # Errors of the model spell their member "Message", the common ones of every service "message".
    member = "Message" if error.code in _model().shape_names else "message"
    return 400, dict(_HEADERS), json.dumps({"__type": error.code, member: error.message}).encode()


def select(shape_name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `value` that the named structure has."""
    selected: dict[str, Any] = _selected(_model().shape_for(shape_name), value)
    return selected


@functools.cache
def _model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _selected(shape: Shape, value: Any) -> Any:
    if shape.type_name == "structure":
        present = {name: value[name] for name in shape.members if value.get(name) is not None}
        return {name: _selected(shape.members[name], item) for name, item in present.items()}
    if shape.type_name == "list":
        return [_selected(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: _selected(shape.value, item) for key, item in value.items()}
    return round(value, 3) if shape.type_name == "timestamp" else value


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if type(value) not in _KINDS[shape.type_name]:  # not isinstance: a JSON true is no number
        found = {dict: "START_OBJECT", list: "START_ARRAY", str: "STRING_VALUE", bool: "BOOLEAN_VALUE"}
        raise ApiError(
            "SerializationException",
            f"{found.get(type(value), 'NUMBER_VALUE')} can not be converted to {shape.type_name} (at '{path}')",
        )
    if shape.type_name == "structure":
        yield from _structure_problems(shape, value, path)
        return
    yield from _value_problems(shape, value, path)
    if shape.type_name == "list":
        for index, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{path}.{index}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _problems(shape.key, key, f"{path}.{key}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.member")


def _structure_problems(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if name not in value:
            yield f"Value null at '{_member(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, item in value.items():
        if name in shape.members:
            yield from _problems(shape.members[name], item, _member(path, name))
        else:
            yield f"Unknown member at '{_member(path, name)}', must be one of: {', '.join(shape.members)}"


def _value_problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    rules = shape.metadata
    start = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must "
    if rules.get("enum") and value not in rules["enum"]:
        yield f"{start}satisfy enum value set: [{', '.join(rules['enum'])}]"
    measured = len(value) if isinstance(value, str | list | dict) else value
    what = "have length" if isinstance(value, str | list | dict) else "have value"
    if "min" in rules and measured < rules["min"]:
        yield f"{start}{what} greater than or equal to {rules['min']}"
    if "max" in rules and measured > rules["max"]:
        yield f"{start}{what} less than or equal to {rules['max']}"
    if "pattern" in rules and isinstance(value, str) and not _fits(rules["pattern"], value):
        yield f"{start}satisfy regular expression pattern: {rules['pattern']}"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None  # Java syntax such as \p{L} that Python does not know


def _fits(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


def _member(path: str, name: str) -> str:
    own = name[0].lower() + name[1:]
    return f"{path}.{own}" if path else own
