"""How an estimator becomes files and is read again: a module for each format, and no pickle in any of them.

A pipeline of scikit-learn whose last step is of another library is two: the steps before it in `model.skops`, the last
step in its own format.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol

from lockgate.configuration.model import Model
from lockgate.errors import ConfigError, EvidenceError
from runtime.formats import lightgbm, own_class, scikit_learn, xgboost

Files = Mapping[str, bytes]


class Format(Protocol):
    """What a module of this package has. `files` are by their names in the archive."""

    @property
    def NAME(self) -> str: ...  # noqa: N802 - a constant of a module

    @property
    def LIBRARIES(self) -> tuple[str, ...]: ...  # noqa: N802

    def takes(self, estimator: Any, model: Model) -> bool:
        """Whether the estimator is of this format. Imports no library that is not there."""
        ...

    def save(self, estimator: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
        """(what model.json must say so that it can be read, the files): equal for equal estimators."""
        ...

    def load(self, facts: Mapping[str, Any], files: Files, model: Model) -> Any:
        """What answers as the saved one. Raises EvidenceError."""
        ...


FORMATS: tuple[Format, ...] = (own_class, xgboost, lightgbm, scikit_learn)
_WAYS = (
    "an estimator or pipeline of scikit-learn, one of XGBoost or LightGBM alone or as a pipeline's last step (fitted, "
    "and not their Booster), or a class of your own in model/{model}/ with save(folder) and load(folder)"
)


def save(estimator: Any, model: Model) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(what model.json says about the format, the files). Raises ConfigError for what no format takes."""
    head, last = _split(estimator)
    chosen = _of(last, model)
    if head is None or chosen is scikit_learn:
        chosen = chosen if head is None else scikit_learn
        facts, files = chosen.save(estimator)
        return {"name": chosen.NAME, "pipeline": False, **facts}, files
    facts, files = chosen.save(last)
    return {"name": chosen.NAME, "pipeline": True, **facts}, {**files, **scikit_learn.save(head)[1]}


def load(facts: object, files: Files, model: Model) -> Any:
    """The estimator that `save` took. Raises EvidenceError."""
    if not isinstance(facts, Mapping):
        raise EvidenceError(f"model.json: format: found {facts!r}, expected an object")
    found = [each for each in FORMATS if facts.get("name") == each.NAME]
    if not found:
        names = [each.NAME for each in FORMATS]
        raise EvidenceError(f"model.json: format: found {facts.get('name')!r}, expected one of {names}")
    last = found[0].load(facts, files, model)
    if not facts.get("pipeline"):
        return last
    pipeline = scikit_learn.load({}, files, model)
    pipeline.steps[-1] = (pipeline.steps[-1][0], last)
    return pipeline


def libraries(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The distributions that took part in what was saved."""
    used = next(each for each in FORMATS if facts["name"] == each.NAME).LIBRARIES
    return tuple(sorted({*used, *(scikit_learn.LIBRARIES if facts["pipeline"] else ())}))


def _of(estimator: Any, model: Model) -> Format:
    for each in FORMATS:
        if each.takes(estimator, model):
            return each
    kind = type(estimator)
    expected = _WAYS.format(model=model.name)
    raise ConfigError(f"model/{model.name}/train.py", "train", f"{kind.__module__}.{kind.__qualname__}", expected)


def _split(estimator: Any) -> tuple[Any, Any]:
    """(the pipeline with its last step left open, that step), or (None, the estimator)."""
    if type(estimator).__name__ != "Pipeline" or not type(estimator).__module__.startswith("sklearn."):
        return None, estimator
    head = copy.copy(estimator)
    name, last = estimator.steps[-1]
    head.steps = [*estimator.steps[:-1], (name, "passthrough")]
    return head, last
