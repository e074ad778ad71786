"""Which engine serves a model: the fastest whose predictions equal the estimator's on every row it was tried on.

`choose` runs when the model was trained, on all rows that training and evaluation have; what it found is in model.json
and so under the digest of the release. `predict` predicts the holdout with the engine that will serve and with
the estimator itself, and the evaluator compares the two itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lockgate.configuration.model import Model
from lockgate.evidence.distribution import Bins
from runtime.artifact import answers
from runtime.frames import Codes, codes_of_table, frame_of_codes
from runtime.metrics import histogram
from runtime.model_json import ENCODED, ESTIMATOR, WALKER, WALKER_FILE
from runtime.serving.batching import Engine
from runtime.serving.convert import NotConvertible, program_of
from runtime.serving.declared_range import within_range
from runtime.serving.encoded import EncodedEngine
from runtime.serving.program import Program, read_program
from runtime.serving.walker import Walker, library
from runtime.tasks.arrays import arrays_of

# Sums of a linear model differ in the last bits from those of a matrix product, whose order of additions is the
# library's own and depends on the number of rows; a walk of trees must agree in every bit.
TOLERANCE_LINEAR = 1e-12

BATCH = 10_000  # rows at once: of a million rows, codes and frames of all would be two more copies


class EstimatorEngine:
    """The estimator itself, on the frame that it was trained on: takes every model."""

    def __init__(self, estimator: Any, model: Model) -> None:
        self._estimator, self._model = estimator, model

    def predict(self, codes: bytes, rows: int) -> list[float] | list[list[float]]:
        numbers = np.frombuffer(codes, dtype=np.float64).reshape(rows, len(self._model.features))
        found: list[float] = answers(self._estimator, frame_of_codes(numbers, self._model), self._model).tolist()
        return found


Candidate = Callable[[Any, Model], tuple[Engine, bytes | None]]


def walker_candidate(estimator: Any, model: Model) -> tuple[Engine, bytes | None]:
    """The engine and its file. Raises NotConvertible."""
    compiled = library()
    if compiled is None:
        raise NotConvertible("it was not compiled here")
    data = program_of(estimator, model).to_bytes()
    return within_range(Walker(read_program(data), compiled), model.target), data


def encoded_candidate(estimator: Any, model: Model) -> tuple[Engine, bytes | None]:
    """The engine, which needs no file of its own. Raises NotConvertible."""
    return EncodedEngine(estimator, model), None


CANDIDATES: Mapping[str, Candidate] = {WALKER: walker_candidate, ENCODED: encoded_candidate}  # in order of speed


def choose(
    estimator: Any, model: Model, parts: Sequence[pa.Table], candidates: Mapping[str, Candidate] = CANDIDATES
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(what model.json says about the engine, its file) of the first candidate that agrees on every row of `parts`."""
    refused: dict[str, str] = {}
    rows = sum(part.num_rows for part in parts)
    expected = np.concatenate(
        [answers(estimator, frame_of_codes(codes, model), model) for codes in _batches(parts, model)]
    )
    for name, candidate in candidates.items():
        try:
            engine, data = candidate(estimator, model)
            batches = [engine.predict(codes.tobytes(), len(codes)) for codes in _batches(parts, model)]
            found = np.concatenate([np.array(each) for each in batches])
        except NotConvertible as reason:
            refused[name] = str(reason)
            continue
        except Exception as error:  # whatever an engine makes of an estimator it does not know: another one serves
            refused[name] = f"{type(error).__name__}: {error}"[:500]
            continue
        difference = largest_difference(found, expected) / model.target.unit
        allowed = tolerance(read_program(data)) if data else 0.0
        if difference <= allowed:
            facts = _facts(name, rows, difference, refused)
            return {**facts, **predictions_noted(found, parts, model)}, {WALKER_FILE: data} if data else {}
        refused[name] = f"differs from the estimator by {difference:g} at most on {rows} rows, allowed is {allowed:g}"
    return {**_facts(ESTIMATOR, rows, 0.0, refused), **predictions_noted(expected, parts, model)}, {}


def _batches(parts: Sequence[pa.Table], model: Model) -> Iterator[Codes]:
    for part in parts:
        for start in range(0, part.num_rows, BATCH):
            yield codes_of_table(part.slice(start, BATCH), model)


def tolerance(program: Program) -> float:
    return TOLERANCE_LINEAR if program.linear else 0.0


def largest_difference(found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> float:
    """Infinity when the shapes differ or a number is none."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max(initial=0.0))


def _facts(name: str, rows: int, difference: float, refused: Mapping[str, str]) -> dict[str, Any]:
    return {"name": name, "rows": rows, "largest_difference": difference, "refused": dict(refused)}


def predictions_noted(found: Codes, parts: Sequence[pa.Table], model: Model) -> dict[str, Any]:
    """How the predictions of the last part, the holdout, are distributed, in bins that follow from those of the first.

    What is served is compared with that as long as it is served. None of both where they are no predictions of the
    model's task.
    """
    arrays = arrays_of(model.target)
    if found.shape[1:] != ((model.target.outputs,) if model.target.outputs > 1 else ()):
        return {"bounds": None, "holdout_scores": None}
    if arrays.unfit(found, model.target):
        return {"bounds": None, "holdout_scores": None}
    bounds = arrays.bounds(found[: parts[0].num_rows])
    counts = histogram(found[len(found) - parts[-1].num_rows :], Bins(tuple(bounds), model.target.outputs))
    return {"bounds": bounds, "holdout_scores": counts}
