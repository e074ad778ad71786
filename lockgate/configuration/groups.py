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
    if feature.bins and len(set(bin_names(feature))) < len(bin_names(feature)):  # rows are grouped by the name
        expected = "edges that differ in their first 15 digits, so that each bin has a name of its own"
        raise ConfigError(file, "bins", list(feature.bins), expected)


def can_be(feature: Feature, group: str) -> bool:
    """Whether the group of this name can have rows."""
    return group in groups_of(feature)


def described(feature: Feature) -> str:
    """Its groups, in words."""
    return ", ".join(groups_of(feature))


def groups_of(feature: Feature) -> tuple[str, ...]:
    """The names of all groups that can have rows."""
    named = feature.values or BOOLEANS if feature.type in ("category", "boolean") else bin_names(feature)
    return (*named, NULL) if feature.null_share > 0 else named


def _range(feature: Feature) -> str:
    return f"{'an integer' if feature.type == 'integer' else 'a number'} {feature.minimum:g} to {feature.maximum:g}"
