"""The OpenAPI document of one served model: its data contract as JSON Schema, and the one shape of errors."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lockgate.configuration.model import Feature, Model
from lockgate.configuration.moments import KINDS
from lockgate.tasks.target import Target
from runtime.contract import expected
from runtime.serving.rows import is_integer

_TEXT = {"type": "string"}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


def openapi(model: Model, version: str, threshold: float | None) -> bytes:
    """OpenAPI 3.1, as JSON. threshold: that of the answers, None where they have none."""
    prediction = _answer("Predictions, in the order of the rows", "Predictions")
    prediction["content"]["text/csv"] = {"schema": _TEXT}
    body = {
        "application/json": {"schema": {"anyOf": [_schema("Instances"), _schema("Columns")]}},
        "text/csv": {"schema": _TEXT},
    }
    paths: dict[str, Any] = {
        "/invocations": {"post": _post("invocations", body, prediction)},
        f"/v2/models/{model.name}/infer": {
            "post": _post(
                "infer", {"application/json": {"schema": _schema("Inference")}}, _answer("Predictions", "Inferred")
            )
        },
        "/metrics": {
            "get": _get("metrics", {"description": "Prometheus text", "content": {"text/plain": {"schema": _TEXT}}})
        },
    }
    for path in ("/ping", "/execution-parameters", "/livez", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready",
                 f"/v2/models/{model.name}", f"/v2/models/{model.name}/ready", "/openapi.json"):  # fmt: skip
        found = {"description": "Yes", "content": {"application/json": {"schema": {"type": "object"}}}}
        paths[path] = {"get": _get(re.sub("[/.-]", "_", path.strip("/")), found)}
    document = {
        "openapi": "3.1.0",
        "info": {"title": model.name, "version": version, "description": model.description},
        "servers": [{"url": "/"}, {"url": f"/{model.name}"}],
        "paths": paths,
        "components": {"schemas": _schemas(model, threshold)},
    }
    return msgspec.json.encode(document)


def _schemas(model: Model, threshold: float | None) -> dict[str, Any]:
    row = {feature.name: _feature(feature) for feature in model.features}
    columns = {name: {"type": "array", "minItems": 1, "items": schema} for name, schema in row.items()}
    tensor = _object({"name": {"enum": list(row)}, "shape": {"type": "array", "items": {"type": "integer"}},
                      "datatype": _TEXT, "data": {"type": "array"}}, closed=False)  # fmt: skip
    nullable = {"type": ["string", "null"]}
    return {
        "Row": _object(row),
        "Instances": _object({"instances": {"type": "array", "minItems": 1, "items": _schema("Row")}}),
        "Columns": _object({"columns": _object(columns)}),
        "Release": _object({"version": _TEXT, "commit": _TEXT, "verdict_id": _TEXT}),
        "Predictions": _object(
            {"predictions": {"type": "array", "items": _prediction(model.target)}, "release": _schema("Release")}
            | ({"classes": {"const": list(model.target.classes)}} if model.target.classes else {})
            | ({"threshold": _PROBABILITY} if threshold is not None else {})
        ),
        "Inference": _object({"inputs": {"type": "array", "items": tensor, "minItems": len(row)}}, closed=False),
        "Inferred": _object({"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": {"type": "array"}}),
        "Error": _object(
            {
                "error": _object(
                    {"row": {"type": ["integer", "null"]}, "column": nullable, "found": _TEXT, "expected": _TEXT}
                ),
                "release": _schema("Release"),
            }
        ),
    }


def _prediction(target: Target) -> dict[str, Any]:
    """A number a row: of several classes a probability for each, in their order."""
    if not target.classes:
        return {"type": "number", "minimum": target.numbers["minimum"], "maximum": target.numbers["maximum"]}
    if target.outputs == 1:
        return _PROBABILITY
    return {"type": "array", "items": _PROBABILITY, "minItems": target.outputs, "maxItems": target.outputs}


def _feature(feature: Feature) -> dict[str, Any]:
    schema: dict[str, Any]
    if feature.type == "category":
        codes = [int(text) for text in feature.values if is_integer(text)]
        return {"enum": [*feature.values, *codes, *([None] if feature.null_share > 0 else [])]}
    if feature.type == "boolean":
        schema = {"type": "boolean"}
    elif feature.type in KINDS:
        schema = {"type": "string", "format": {"date": "date", "datetime": "date-time"}[feature.type]}
        schema["description"] = expected(feature)
    else:
        schema = {"type": feature.type, "minimum": feature.minimum, "maximum": feature.maximum}
    return {"anyOf": [schema, {"type": "null"}]} if feature.null_share > 0 else schema


def _object(properties: dict[str, Any], closed: bool = True) -> dict[str, Any]:
    closing = {"additionalProperties": False} if closed else {}
    return {"type": "object", "required": list(properties), "properties": properties, **closing}


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _schema(schema)}}}


def _post(name: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    refusals = {
        "400": "The body is malformed, or a row breaks the data contract",
        "408": "The body did not come in time",
        "413": "Too many bytes or rows",
        "415": "A media type that is not spoken here",
        "429": "Too many requests in flight; Retry-After says when to come again",
    }
    answers = {"200": answer} | {status: _answer(text, "Error") for status, text in refusals.items()}
    return {"operationId": name, "requestBody": {"required": True, "content": body}, "responses": answers}


def _get(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "responses": {"200": answer}}
