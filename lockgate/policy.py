"""What an environment asks of a model, as reviewed data.

One kind of rule so far, `limit`: a metric against a floor or a ceiling.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lockgate import canonical
from lockgate.errors import ConfigError
from lockgate.table import Table


@dataclass(frozen=True)
class Limit:
    """A metric must not be below a floor, or not above a ceiling; the bound itself is allowed."""

    name: str
    metric: str
    bound: Literal["floor", "ceiling"]
    value: float

    def holds(self, observed: float) -> bool:
        return observed >= self.value if self.bound == "floor" else observed <= self.value


@dataclass(frozen=True)
class Policy:
    """The rules of one environment; its digest is in every decision."""

    rules: tuple[Limit, ...]

    @property
    def sha256(self) -> str:
        return canonical.sha256(canonical.to_bytes(self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        return {"rules": [{"kind": "limit", **asdict(rule)} for rule in self.rules]}


def read_policy(table: Table) -> Policy:
    """Read the [[rule]] tables of an environment's file. Raises ConfigError."""
    rules = tuple(_read_rule(entry) for entry in table.tables("rule"))
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise ConfigError(table.file, "rule.name", names, "each name once")
    return Policy(rules)


def _read_rule(table: Table) -> Limit:
    table.choice("kind", ("limit",))
    floor, ceiling = table.optional_number("floor"), table.optional_number("ceiling")
    name, metric = table.text("name"), table.text("metric")
    table.finish()
    if floor is not None and ceiling is None:
        return Limit(name, metric, "floor", floor)
    if ceiling is not None and floor is None:
        return Limit(name, metric, "ceiling", ceiling)
    raise ConfigError(table.file, table.path, dict(table.data), "either floor or ceiling")
