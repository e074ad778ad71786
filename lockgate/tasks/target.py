"""The column that a model predicts, as model.toml declares it and an operator published it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lockgate.errors import LockgateError

BINARY = "binary"
Class = str | int | bool


@dataclass(frozen=True)
class Target:
    """name: the column. task: the module of lockgate/tasks that knows it.

    classes: the values that the column can have, in the order in which a model's probabilities are given; of a binary
    task the negative one comes first; empty where a number is predicted. numbers: what the task declares beside them,
    such as the range of a number.
    """

    name: str
    task: str = BINARY
    classes: tuple[Class, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """How many numbers a model answers for a row: a probability a class, of which two classes need one only."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def unit(self) -> float:
        """What differences of predictions are relative to: the width of the declared range, 1 of probabilities."""
        return self.numbers["maximum"] - self.numbers["minimum"] if "maximum" in self.numbers else 1.0

    @property
    def meaning(self) -> dict[str, Any]:
        """What a prediction says: what two models must share so that their predictions can be compared."""
        ends = {key: self.numbers[key] for key in ("minimum", "maximum") if key in self.numbers}
        return {"name": self.name, "task": self.task, "classes": list(self.classes), "range": ends}

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "task": self.task, "classes": list(self.classes), "numbers": dict(self.numbers)}


def binary(name: str) -> Target:
    """A target whose labels are 0 and 1, which was the only one of version 0.1."""
    return Target(name, BINARY, (0, 1))


def read_target(document: object, error: type[LockgateError]) -> Target:
    """What `as_dict` wrote. Raises `error` for anything else; that a task exists is for its reader to say."""
    known = ("name", "task", "classes", "numbers")
    if not isinstance(document, dict) or sorted(document) != sorted(known):
        raise error(f"target: found {document!r}, expected an object with {', '.join(known)}")
    name, task, classes, numbers = (document[key] for key in known)
    typed = isinstance(name, str) and isinstance(task, str) and isinstance(classes, list) and isinstance(numbers, dict)
    if not typed or not all(isinstance(each, str | int | bool) for each in classes):
        raise error(f"target: found {document!r}, expected texts, a list of classes and numbers by name")
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers.values()):
        raise error(f"target: numbers: found {numbers!r}, expected numbers")
    return Target(name, task, tuple(classes), {key: float(value) for key, value in numbers.items()})
