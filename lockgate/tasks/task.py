"""What a task says of itself: the rules of one module of this package, which is found by the task's name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Protocol, cast

import lockgate.tasks
from lockgate.configuration.table import Table
from lockgate.errors import EvidenceError
from lockgate.tasks.kinds import MetricKind
from lockgate.tasks.target import Target


class Task(Protocol):
    """A module of lockgate/tasks. Another task is another such module, and its arrays in runtime/tasks."""

    def read(self, table: Table, name: str) -> Target:
        """What [target] of model.toml declares beside its name and task. Raises ConfigError."""

    def metrics(self, target: Target) -> Mapping[str, MetricKind]:
        """Every metric that is measured of such a model, on the whole holdout and on each group."""

    def measures(self, target: Target) -> Mapping[str, tuple[str, ...]]:
        """How groups are compared: the name of a measure, and the metrics whose gaps must keep its bound.

        The first is the one that is shown where nobody names one.
        """

    def shown(self, target: Target) -> tuple[str, ...]:
        """The metrics that a table of groups shows."""


@cache
def names() -> tuple[str, ...]:
    """The tasks that there are. A module is one if it has metrics."""
    found = (module.name for module in pkgutil.iter_modules(lockgate.tasks.__path__))
    return tuple(name for name in sorted(found) if hasattr(_module(name), "metrics"))


def task_of(target: Target) -> Task:
    """Raises EvidenceError for a task that this version does not know."""
    if target.task not in names():
        raise EvidenceError(f"task: found {target.task!r}, expected one of {', '.join(names())}")
    return module_named(target.task)


def module_named(task: str) -> Task:
    """One of `names`."""
    return cast(Task, _module(task))


def _module(name: str) -> object:
    return importlib.import_module(f"lockgate.tasks.{name}")


def metrics_of(target: Target) -> Mapping[str, MetricKind]:
    return task_of(target).metrics(target)


def measures_of(target: Target) -> Mapping[str, tuple[str, ...]]:
    return task_of(target).measures(target)
