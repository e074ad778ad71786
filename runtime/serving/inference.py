"""The Open Inference Protocol, version 2: a tensor a feature in, one tensor of predictions out."""

from __future__ import annotations

from typing import Any

import msgspec

from lockgate.config import Model
from runtime.contract import Violation
from runtime.serving.rows import Batch, Decoder, Refused, document_of, refused

NUMBERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64")
_EXPECTED = '{"inputs": [a tensor a feature: {"name", "shape", "datatype", "data"}]}'


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Inference(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None


_decoder = msgspec.json.Decoder(Inference)


def read(body: bytes, decoder: Decoder, model: Model) -> tuple[Batch, str | None]:
    """The rows and the id that the caller gave. Raises Refused."""
    try:
        request = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        document_of(body, _EXPECTED)  # NaN and keys given twice have better words
        raise refused(400, "malformed", str(error)[:200], _EXPECTED) from error
    features = {feature.name: feature for feature in model.features}
    columns: dict[str, list[Any]] = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise _broken(tensor, "a tensor given twice", "each once")
        if tensor.name not in features:
            raise _broken(tensor, "a tensor of that name", "no such column: it is not a declared feature")
        datatypes = ("BYTES",) if features[tensor.name].type == "category" else NUMBERS
        if tensor.datatype not in datatypes:
            raise _broken(tensor, f"datatype {tensor.datatype!r}"[:60], f"one of {', '.join(datatypes)}")
        data = tensor.data
        if len(tensor.shape) == 2 and tensor.shape[1] == 1 and all(isinstance(v, list) and len(v) == 1 for v in data):
            data = [value[0] for value in data]
        if tensor.shape not in ([len(data)], [len(data), 1]):
            raise _broken(tensor, f"shape {tensor.shape} of {len(data)} values"[:60], "[rows] or [rows, 1]")
        columns[tensor.name] = data
    return decoder.columns(columns), request.id


def _broken(tensor: Tensor, found: str, expected: str) -> Refused:
    return Refused(400, "contract", Violation(None, tensor.name[:40], found, expected))


def answer(model: Model, version: str, request_id: str, predictions: list[Any]) -> dict[str, Any]:
    nested = bool(predictions) and isinstance(predictions[0], list)
    shape = [len(predictions), len(predictions[0])] if nested else [len(predictions)]
    data = [value for row in predictions for value in row] if nested else predictions
    output = {"name": "predictions", "datatype": "FP64", "shape": shape, "data": data}
    return {"model_name": model.name, "model_version": version, "id": request_id, "outputs": [output]}


def metadata(model: Model, version: str) -> dict[str, Any]:
    inputs = [
        {
            "name": feature.name,
            "datatype": {"category": "BYTES", "integer": "INT64", "number": "FP64"}[feature.type],
            "shape": [-1],
        }
        for feature in model.features
    ]
    outputs = [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]
    return {"name": model.name, "versions": [version], "platform": "lockgate", "inputs": inputs, "outputs": outputs}
