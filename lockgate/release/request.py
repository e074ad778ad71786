"""A request that a service of a model answers, for whoever wants to try it."""

from __future__ import annotations

from lockgate.configuration.model import Feature, Model
from lockgate.configuration.moments import KINDS, moment_as_text


def example_row(model: Model) -> dict[str, str | int | float | bool]:
    """A row that keeps to the data contract and is nobody's: first categories, and the middle of each range."""
    return {feature.name: _value(feature) for feature in model.features}


def _value(feature: Feature) -> str | int | float | bool:
    if feature.type == "category":
        return feature.values[0]
    if feature.type == "boolean":
        return True
    assert feature.minimum is not None and feature.maximum is not None  # noqa: S101 - of every other type
    middle = (feature.minimum + feature.maximum) / 2
    if feature.type in KINDS:
        return moment_as_text(feature.type, float(int(middle)))
    return int(middle) if feature.type == "integer" else middle
