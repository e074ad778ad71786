"""The whole configuration of a project, checked at synth: each file by itself, then all of them together.

Every mistake is a ConfigError with file, key, what was found and what was expected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lockgate.configuration.attributes import refuse_unknown_groups
from lockgate.configuration.environment import Environment, read_environment
from lockgate.configuration.model import Model, read_models
from lockgate.configuration.tools import Tools, read_tools
from lockgate.errors import ConfigError
from lockgate.policy.rules import BUDGET_KEYS


@dataclass(frozen=True)
class Configuration:
    """Everything that synth needs to know; environments in the order of promotion."""

    tools: Tools
    environments: tuple[Environment, ...]
    models: tuple[Model, ...]

    @property
    def stages(self) -> dict[str, str]:
        """Account of each stage of the app: tools, anchor where there is one, and the environments.

        One whose load balancer others share comes before them.
        """
        own = sorted(self.environments, key=lambda environment: environment.edge != environment.name)
        found = {environment.name: environment.account for environment in own}
        anchor = {"anchor": self.tools.anchor_account} if self.tools.anchored else {}
        return {"tools": self.tools.account, **anchor, **found}

    def sharing(self, edge: str) -> tuple[Environment, ...]:
        """The other environments that are served by the network and load balancer of `edge`."""
        return tuple(each for each in self.environments if each.edge == edge and each.name != edge)


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
        _refuse_certificate_of_another_place(environment)
        for key, field in BUDGET_KEYS.items():
            said, wanted = (getattr(found.policy.budget, field) for found in (environment, environments[0]))
            if said != wanted:
                expected = f"{wanted!r} as in environments/{environments[0].name}.toml: all decide on the same holdout"
                raise ConfigError(f"environments/{environment.name}.toml", f"budget.{key}", said, expected)
        if environment.approvals and len(tools.persons) <= environment.approvals:
            expected = f"at least {environment.approvals + 1}: an author and {environment.approvals} who approve"
            found_persons = [person.name for person in tools.persons]
            raise ConfigError("environments/tools.toml", "persons", found_persons, expected)
    _refuse_edge_of_another_place(environments)
    _refuse_workflows_of_another_branch(root / ".github" / "workflows", tools.github.branch)
    models = read_models(root / "model")
    for environment in environments:
        refuse_unknown_groups(environment.policy, f"environments/{environment.name}.toml", models)
    return Configuration(tools, environments, models)


def _refuse_certificate_of_another_place(environment: Environment) -> None:
    """A load balancer takes certificates of its own account and region only; CloudFormation would say so at the end."""
    _, _, _, region, account, _ = environment.certificate_arn.split(":")
    if (region, account) != (environment.region, environment.account):
        expected = f"a certificate of account {environment.account} in {environment.region}"
        file = f"environments/{environment.name}.toml"
        raise ConfigError(file, "service.certificate_arn", environment.certificate_arn, expected)


def _refuse_edge_of_another_place(environments: tuple[Environment, ...]) -> None:
    """A shared load balancer is in one account and tells environments apart by the host that callers ask for."""
    known = {environment.name: environment for environment in environments}
    hosts: dict[tuple[str, str], str] = {}
    for environment in environments:
        file, owner = f"environments/{environment.name}.toml", known.get(environment.edge)
        if owner is None or owner.edge != owner.name or owner.account != environment.account:
            expected = f"an environment of account {environment.account} with a load balancer of its own"
            raise ConfigError(file, "service.edge", environment.edge, expected)
        alone = not [each for each in environments if each.edge == owner.name and each.name != environment.name]
        if alone:
            continue
        if environment.host is None:
            raise ConfigError(file, "service.host", "nothing", "the name that callers use: the load balancer is shared")
        other = hosts.setdefault((owner.name, environment.host), environment.name)
        if other != environment.name:
            raise ConfigError(file, "service.host", environment.host, f"another name than that of {other}")


def _refuse_workflows_of_another_branch(folder: Path, branch: str) -> None:
    """What is pushed to another branch than the roles trust would be refused by AWS, in words of its own."""
    for file in sorted(folder.glob("*.yml")):
        for named in re.findall(r"^    branches: \[(.*)\]$", file.read_text(encoding="utf-8"), re.MULTILINE):
            if named.strip(" '\"") != branch:
                expected = f"[{branch}], the branch that environments/tools.toml names and whose runs AWS trusts"
                raise ConfigError(f".github/workflows/{file.name}", "branches", f"[{named}]", expected)
