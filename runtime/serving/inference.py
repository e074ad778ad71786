"""The Open Inference Protocol, version 2: a tensor a feature in, one tensor of predictions out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

import msgspec

from lockgate.configuration.model import Model
from lockgate.tasks.target import Target
from runtime.contract import Violation, shown
from runtime.serving.rows import Batch, Decoder, Refused, document_of, refused

OUTPUT = "predictions"
NUMBERS: dict[str, Any] = {  # what a value is; what no JSON decoder can bound, the data contract does
    **{f"INT{bits}": Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), lt=2 ** (bits - 1))] for bits in (8, 16, 32)},
    **{f"UINT{bits}": Annotated[int, msgspec.Meta(ge=0, lt=2**bits)] for bits in (8, 16, 32)},
    "INT64": int,
    "UINT64": Annotated[int, msgspec.Meta(ge=0)],
    **dict.fromkeys(("FP16", "FP32", "FP64"), float),
}
_EXPECTED = '{"inputs": [a tensor a feature: {"name", "shape", "datatype", "data"}]}'


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Output(msgspec.Struct):
    name: str


class Inference(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Output] = []


_decoder = msgspec.json.Decoder(Inference)


def read(body: bytes, decoder: Decoder, model: Model) -> tuple[Batch, str | None]:
    """The rows and the id that the caller gave. Raises Refused."""
    try:
        request = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        document_of(body, _EXPECTED)  # NaN and keys given twice have better words
        raise refused(400, "malformed", str(error)[:200], _EXPECTED) from error
    for output in request.outputs:
        if output.name != OUTPUT:
            raise Refused(
                400, "contract", Violation(None, output.name[:40], "an output of that name", f"{OUTPUT!r} only")
            )
    features = {feature.name: feature for feature in model.features}
    columns: dict[str, list[Any]] = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise _broken(tensor, "a tensor given twice", "each once")
        if tensor.name not in features:
            raise _broken(tensor, "a tensor of that name", "no such column: it is not a declared feature")
        kind = features[tensor.name].type
        is_number = kind in ("integer", "number")
        datatypes = tuple(NUMBERS) if is_number else ("BOOL",) if kind == "boolean" else ("BYTES",)
        if tensor.datatype not in datatypes:
            raise _broken(tensor, f"datatype {tensor.datatype!r}"[:60], f"one of {', '.join(datatypes)}")
        data = tensor.data
        if len(tensor.shape) == 2 and tensor.shape[1] == 1 and all(isinstance(v, list) and len(v) == 1 for v in data):
            data = [value[0] for value in data]
        if tensor.shape not in ([len(data)], [len(data), 1]):
            raise _broken(tensor, f"shape {tensor.shape} of {len(data)} values"[:60], "[rows] or [rows, 1]")
        if is_number:
            _refuse_other_numbers(tensor, data)
        columns[tensor.name] = data
    return decoder.columns(columns), request.id


def _refuse_other_numbers(tensor: Tensor, data: list[Any]) -> None:
    """A value that its datatype cannot have; 33.0 is an integer. What is no number, the data contract has words for."""
    try:
        msgspec.convert(data, _list_of(NUMBERS[tensor.datatype]))
    except msgspec.ValidationError:
        for row, value in enumerate(data):
            whole = int(value) if isinstance(value, float) and value.is_integer() else value
            if isinstance(value, int | float) and not _is(whole, NUMBERS[tensor.datatype]):
                found = Violation(row, tensor.name, shown(value), f"a value of {tensor.datatype}")
                raise Refused(400, "contract", found) from None


@cache
def _list_of(kind: Any) -> Any:
    return list[kind | None]


def _is(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _broken(tensor: Tensor, found: str, expected: str) -> Refused:
    return Refused(400, "contract", Violation(None, tensor.name[:40], found, expected))


def meaning(target: Target, threshold: float | None) -> dict[str, Any]:
    """What a caller needs beside the numbers: the classes in their order, and from which score on the last is meant."""
    classes = {"classes": list(target.classes)} if target.classes else {}
    return classes if threshold is None else {**classes, "threshold": threshold}


def answer(
    model: Model, version: str, request_id: str, predictions: list[Any], meant: Mapping[str, Any]
) -> dict[str, Any]:
    nested = bool(predictions) and isinstance(predictions[0], list)
    shape = [len(predictions), len(predictions[0])] if nested else [len(predictions)]
    data = [value for row in predictions for value in row] if nested else predictions
    output = {"name": OUTPUT, "datatype": "FP64", "shape": shape, "data": data, "parameters": dict(meant)}
    return {"model_name": model.name, "model_version": version, "id": request_id, "outputs": [output]}


def metadata(model: Model, version: str) -> dict[str, Any]:
    inputs = [
        {
            "name": feature.name,
            "datatype": {"integer": "INT64", "number": "FP64", "boolean": "BOOL"}.get(feature.type, "BYTES"),
            "shape": [-1],
        }
        for feature in model.features
    ]
    several = [model.target.outputs] if model.target.outputs > 1 else []
    outputs = [{"name": OUTPUT, "datatype": "FP64", "shape": [-1, *several]}]
    return {"name": model.name, "versions": [version], "platform": "lockgate", "inputs": inputs, "outputs": outputs}
