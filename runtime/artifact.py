"""A trained model as files: the estimator in its format (runtime/formats), walker.bin (the same for the compiled
walker, if that serves it) and model.json (what it is, and which engine serves it). Equal estimators give equal bytes.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lockgate import canonical
from lockgate.configuration.model import Model
from lockgate.errors import ConfigError
from runtime import formats, model_json

Scores = npt.NDArray[np.float64]


def write_artifact(
    estimator: Any,
    model: Model,
    engine: Mapping[str, Any],
    files: Mapping[str, bytes],
    threshold: float | None = None,
) -> dict[str, bytes]:
    """File name -> bytes. engine, files: what `engines.choose` found. threshold: from which score on the positive class
    is predicted; None of a task without one. Raises ConfigError."""
    format_facts, saved = formats.save(estimator, model)
    saved = {**saved, **files}
    facts = {
        **model_json.declared(model),
        "parameters": {**model.parameters, **(model.imported.as_parameters if model.imported else {})},
        "format": format_facts,
        **({} if threshold is None else {"threshold": threshold}),
        "libraries": {name: importlib.metadata.version(name) for name in formats.libraries(format_facts)},
        "engine": dict(engine),
        "sha256": {name: canonical.sha256(content) for name, content in saved.items()},
    }
    return {**saved, "model.json": canonical.to_bytes(facts)}


def read_artifact(files: Mapping[str, bytes], model: Model) -> Any:
    """The estimator, if the files belong together and fit this image's model.toml. Raises EvidenceError."""
    facts = canonical.from_bytes(files.get("model.json", b"{}"), "model.json")
    model_json.refuse_other_model(facts, model, files)
    return formats.load(facts.get("format"), files, model)


def answers(estimator: Any, rows: Any, model: Model) -> Scores:
    """What a model answers, as float64, in the terms of its target.

    Of two classes, the probability of the second declared one; of more, a row of probabilities in the declared order;
    of a number, the prediction, no further out than the declared range, which is a promise to callers. Raises
    ConfigError for an estimator of other classes.
    """
    target = model.target
    if not target.classes:
        predicted = np.asarray(estimator.predict(rows), dtype=np.float64)
        return np.clip(predicted, target.numbers["minimum"], target.numbers["maximum"])
    places = places_of_classes(estimator, target.classes, model)
    given = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    if given.shape != (len(rows), len(places)):
        expected = f"{len(places)} probabilities a row, one for each class"
        raise ConfigError(f"model/{model.name}/train.py", "predict_proba", f"an array of {given.shape}", expected)
    found = given[:, places]
    return np.ascontiguousarray(found[:, -1] if target.outputs == 1 else found)


def places_of_classes(estimator: Any, classes: Sequence[str | int | bool], model: Model) -> list[int]:
    """For each declared class in order, its column of `predict_proba`. Raises ConfigError.

    An estimator's `classes_` are the declared values, or, as XGBoost wants them, their places 0 to K-1. One without
    `classes_`, as a class of the team's own may be, has its columns in declared order.
    """
    refuse_without_probabilities(estimator, model)
    found = getattr(estimator, "classes_", None)
    if found is None:
        return list(range(len(classes)))
    values = [value.item() if isinstance(value, np.generic) else value for value in found]
    for named in (list(classes), list(range(len(classes)))):
        if len(values) == len(named) and set(values) == set(named):
            return [values.index(value) for value in named]
    raise ConfigError(
        f"model/{model.name}/train.py", "train", f"an estimator of the classes {values}", f"of {list(classes)}"
    )


def refuse_without_probabilities(estimator: Any, model: Model) -> None:
    """A classifier that only answers classes: its hard answers would be judged as if it were always certain."""
    from sklearn.base import is_classifier

    name = type(estimator).__name__
    try:
        classifies = is_classifier(estimator)
    except AttributeError:  # not made as scikit-learn's are
        classifies = False
    if (classifies or model.target.classes) and not hasattr(estimator, "predict_proba"):
        raise ConfigError(
            f"model/{model.name}/train.py",
            "train",
            f"{name}, a classifier without predict_proba",
            "one with probabilities, for example CalibratedClassifierCV of it",
        )
