"""What a task does with arrays: the module of this package with the task's name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from lockgate.evidence.document import Metric
from lockgate.tasks.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

Truth = npt.NDArray[Any]  # of classes the place in the declared order, as int64; else the number, as float64
Predictions = npt.NDArray[np.float64]  # a number a row; of three classes and more, a row of probabilities


@dataclass(frozen=True)
class ModelAnswers:
    """What a model answers, and from which score on it predicts the positive class; None of a task without one."""

    predictions: Predictions
    threshold: float | None = None


class Arrays(Protocol):
    """Arrays have one row at least, and the rows of all that are given together are the same ones."""

    def refusal(self, column: pa.ChunkedArray, target: Target, every: bool) -> str:
        """What is wrong with the values of the column, and what was expected; "" where nothing is.

        every: whether each class must occur, as in training.
        """

    def truth(self, column: pa.ChunkedArray, target: Target) -> Truth:
        """The column as an array, after nothing was refused."""

    def unfit(self, predictions: Predictions, target: Target) -> str:
        """What is wrong with what a model answers, with in how many rows; "" where nothing is."""

    def measure(
        self, truth: Truth, predictions: Predictions, target: Target, threshold: float | None
    ) -> dict[str, Metric]:
        """Every metric of lockgate/tasks that these rows have."""

    def paired(
        self, truth: Truth, own: ModelAnswers, before: ModelAnswers, target: Target
    ) -> dict[str, Mapping[str, float]]:
        """For each metric that compares two models, the sums over the rows of both together."""

    def bounds(self, predictions: Predictions) -> list[float]:
        """Upper ends of the bins in which predictions are counted, for parity, drift and alarms."""


def arrays_of(target: Target) -> Arrays:
    """Raises ModuleNotFoundError for a task that an operator never published: lockgate.tasks knows them."""
    return cast(Arrays, importlib.import_module(f"runtime.tasks.{target.task}"))
