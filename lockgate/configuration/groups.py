"""The groups of a protected attribute: its values, or the bins of a number.

The evaluator names a group by its value as text, and by the bin's name where there are bins, such as "18 to 24".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockgate.configuration.moments import KINDS
from lockgate.errors import ConfigError

if TYPE_CHECKING:
    from lockgate.configuration.model import Feature

BOOLEANS = ("false", "true")
NULL = "null"
MOST_BINS = 20


def bin_names(feature: Feature) -> tuple[str, ...]:
    """The name of each bin in order. A bin begins with its edge, and the last one ends with the maximum."""
    first, last = feature.minimum or 0.0, feature.maximum or 0.0
    edges = (first, *feature.bins)
    if feature.type == "integer":
        ends = [int(each) - 1 for each in feature.bins] + [int(last)]
        return tuple(
            f"{int(begin)} to {end}" if begin < end else f"{end}" for begin, end in zip(edges, ends, strict=True)
        )
    below = [f"{begin:.15g} to below {end:.15g}" for begin, end in zip(edges[:-1], feature.bins, strict=True)]
    return (*below, f"{edges[-1]:.15g} to {last:.15g}")


def refuse_ungrouped(feature: Feature, file: str) -> None:
    """A protected number without bins would be a group for each value, or for each row. Raises ConfigError."""
    if feature.type in KINDS:
        expected = "a category, a boolean or a number, or a category made of it, such as a decade"
        raise ConfigError(file, "protected", f"{feature.name}, a {feature.type}", expected)
    if feature.type in ("integer", "number") and not feature.bins:
        expected = f"bins = [...] in the table of {feature.name}: where a group ends and the next begins"
        raise ConfigError(file, "protected", f"{feature.name}, {_range(feature)} without bins", expected)


def can_be(feature: Feature, group: str) -> bool:
    """Whether the group of this name can have rows."""
    return (group == NULL and feature.null_share > 0) or group in groups_of(feature)


def described(feature: Feature) -> str:
    """Its groups, in words."""
    return ", ".join(groups_of(feature)) + (f", {NULL}" if feature.null_share else "")


def groups_of(feature: Feature) -> tuple[str, ...]:
    """The names of all groups but that of missing values."""
    if feature.type == "boolean":
        return BOOLEANS
    return feature.values if feature.type == "category" else bin_names(feature)


def _range(feature: Feature) -> str:
    return f"{'an integer' if feature.type == 'integer' else 'a number'} {feature.minimum:g} to {feature.maximum:g}"
