"""Rows at the edges of the data contract, which a caller may send although training saw none like them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lockgate.configuration.model import Feature, Model
from lockgate.configuration.moments import KINDS, moment_as_text
from runtime.artifact import Scores, answers, read_artifact
from runtime.frames import frame_of_codes
from runtime.serving.batching import Engine
from runtime.serving.engines import TOLERANCE_LINEAR, largest_difference
from runtime.serving.model_data import engine_of
from runtime.serving.rows import MAXIMUM_ROWS, Decoder
from runtime.tasks.arrays import arrays_of

SHOWN = 5

Row = dict[str, Any]


def edge_values(feature: Feature) -> list[Any]:
    """What the contract allows at its ends: both limits, each declared category, null where it may be."""
    nothing = [None] if feature.null_share > 0 else []
    if feature.type == "category":
        return [*feature.values, *nothing]
    if feature.type == "boolean":
        return [False, True, *nothing]
    limits = [each for each in (feature.minimum, feature.maximum) if each is not None]
    if feature.type in KINDS:
        return [*(moment_as_text(feature.type, each) for each in limits), *nothing]
    return [*limits, *nothing]


def edge_rows(row: Row, model: Model) -> list[tuple[str, Row]]:
    """(what is at an edge, the row): all features at their first and at their last edge, then each value of each alone.

    row: one that keeps the contract, which every other value is taken from. At most as many as one request may have.
    """
    edges = {feature.name: edge_values(feature) for feature in model.features}
    made = [("every feature at its first edge", {name: values[0] for name, values in edges.items()})]
    made += [("every feature at its last edge", {name: values[-1] for name, values in edges.items()})]
    made += [
        (f"{name} {'null' if value is None else value}", {**row, name: value})
        for name, values in edges.items()
        for value in values
    ]
    return made[:MAXIMUM_ROWS]


def unanswered(files: Mapping[str, bytes], row: Row, model: Model) -> tuple[int, list[str]]:
    """How many rows at edges were asked as a caller asks, and what the saved model does not answer of them."""
    rows = edge_rows(row, model)
    engine, estimator, decoder = engine_of(files, model), read_artifact(files, model), Decoder(model)

    def wrong(asked: list[Row]) -> str:
        batch = decoder.instances(asked)
        codes = np.frombuffer(batch.codes).reshape(batch.rows, len(model.features))
        try:
            found = _answered(engine, batch.codes, batch.rows)
            reference = answers(estimator, frame_of_codes(codes, model), model)
        except Exception as error:  # whatever a library makes of values that it never saw
            return f"{type(error).__name__}: {error}"[:300]
        apart = largest_difference(found, reference) / model.target.unit
        differs = f"the engine answers otherwise than the library, by {apart:g}" if apart > TOLERANCE_LINEAR else ""
        return arrays_of(model.target).unfit(reference, model.target) or differs

    if not wrong([each for _, each in rows]):
        return len(rows), []
    found = [f"{what}: {said}" for what, each in rows if (said := wrong([each]))]
    more = [f"and {len(found) - SHOWN} rows more"] if len(found) > SHOWN else []
    return len(rows), [*found[:SHOWN], *more] or ["they are answered one by one, and not in one request"]


def _answered(engine: Engine, codes: bytes, rows: int) -> Scores:
    return np.array(engine.predict(codes, rows), dtype=np.float64)
