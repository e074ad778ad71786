"""The whole configuration of a project, checked at synth: each file by itself, then all of them together.

Every mistake is a ConfigError with file, key, what was found and what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lockgate.configuration.attributes import refuse_unknown_groups
from lockgate.configuration.environment import Environment, read_environment
from lockgate.configuration.model import Model, read_models
from lockgate.configuration.tools import Tools, read_tools
from lockgate.errors import ConfigError


@dataclass(frozen=True)
class Configuration:
    """Everything that synth needs to know; environments in the order of promotion."""

    tools: Tools
    environments: tuple[Environment, ...]
    models: tuple[Model, ...]

    @property
    def stages(self) -> dict[str, str]:
        """Account of each stage of the app: tools, anchor, and the environments."""
        found = {environment.name: environment.account for environment in self.environments}
        return {"tools": self.tools.account, "anchor": self.tools.anchor_account, **found}


def read_configuration(root: Path) -> Configuration:
    """Read environments/ and model/ below `root`. Raises ConfigError."""
    tools = read_tools(root / "environments" / "tools.toml")
    found = sorted(path.stem for path in (root / "environments").glob("*.toml") if path.stem != "tools")
    if sorted(tools.promotion) != found:
        raise ConfigError(
            "environments/tools.toml", "promotion", list(tools.promotion), f"each of {found} exactly once"
        )
    environments = tuple(read_environment(root / "environments" / f"{name}.toml") for name in tools.promotion)
    for environment in environments:
        if environment.region != tools.region:  # Step Functions does not call a function of another region
            expected = f"the region of environments/tools.toml, {tools.region}"
            raise ConfigError(f"environments/{environment.name}.toml", "region", environment.region, expected)
        if environment.policy.budget != environments[0].policy.budget:  # all of them decide on the same holdout
            expected = f"the budget of environments/{environments[0].name}.toml, {environments[0].policy.budget}"
            raise ConfigError(f"environments/{environment.name}.toml", "budget", environment.policy.budget, expected)
        if environment.approvals and len(tools.persons) <= environment.approvals:
            expected = f"at least {environment.approvals + 1}: an author and {environment.approvals} who approve"
            found_persons = [person.name for person in tools.persons]
            raise ConfigError("environments/tools.toml", "persons", found_persons, expected)
    models = read_models(root / "model")
    for environment in environments:
        refuse_unknown_groups(environment.policy, f"environments/{environment.name}.toml", models)
    return Configuration(tools, environments, models)
