"""The placeholders of a pipeline's definition: what the infrastructure fixes and a commit cannot choose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lockgate.errors import ConfigError

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def fill(definition: Any, values: Mapping[str, str], *, file: str) -> Any:
    """A copy of `definition` in whose strings every `{{Name}}` is replaced.

    Raises ConfigError for a placeholder that `values` does not have, and for a value that no placeholder asks for:
    either means that the definition and the stack no longer agree.
    """
    used: set[str] = set()

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            raise ConfigError(file, match[0], "an unknown placeholder", f"one of {', '.join(sorted(values))}")
        used.add(name)
        return values[name]

    def replace(part: Any) -> Any:
        if isinstance(part, str):
            return PLACEHOLDER.sub(value_of, part)
        if isinstance(part, list):
            return [replace(item) for item in part]
        if isinstance(part, dict):
            return {key: replace(item) for key, item in part.items()}
        return part

    filled = replace(definition)
    unused = sorted(set(values) - used)
    if unused:
        raise ConfigError(file, f"{{{{{unused[0]}}}}}", "nothing", "this placeholder somewhere in the definition")
    return filled
