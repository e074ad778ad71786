"""What tasks with classes have in common: how model.toml names classes, and what a certain and wrong answer costs."""

from __future__ import annotations

from math import log

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.tasks.target import Class

# The evaluator counts a certain and wrong probability as 2**-52, so no row's log loss is larger.
LARGEST_LOG_LOSS = 52 * log(2)
MOST_CLASSES = 100


def read_classes(table: Table, fewest: int, most: int, expected: str) -> tuple[Class, ...]:
    """Different texts, whole numbers or truth values, all of one type. Raises ConfigError."""
    found = table.plain("classes")
    types = {type(each) for each in found} if isinstance(found, list) else set()
    fits = isinstance(found, list) and types <= {str, int, bool} and len(types) == 1 and len(set(found)) == len(found)
    if not fits or not fewest <= len(found) <= most or "" in found:
        raise ConfigError(table.file, table.key("classes"), found, expected)
    places = list(range(len(found)))
    if sorted(found, key=repr) != found and not types & {str} and sorted(map(int, found)) == places:
        raise ConfigError(
            table.file, table.key("classes"), found, "0, 1 and so on in their order: libraries use places"
        )
    return tuple(found)
