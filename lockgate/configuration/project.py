"""The whole configuration of a project, checked at synth: each file by itself, then all of them together.

Every mistake is a ConfigError with file, key, what was found and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.configuration.environment import Environment, read_environment
from lockgate.configuration.model import Model, read_models
from lockgate.configuration.policies import refuse_misfits
from lockgate.configuration.tools import Tools, read_tools
from lockgate.errors import ConfigError, NotFoundError
from lockgate.policy.of_model import ModelPolicy, read_model_policy
from lockgate.policy.rules import Policy
from lockgate.statistics.budget import Simple


@dataclass(frozen=True)
class Configuration:
    """Everything that synth needs to know; environments in the order of promotion, policies by model."""

    tools: Tools
    environments: tuple[Environment, ...]
    models: tuple[Model, ...]
    policies: Mapping[str, ModelPolicy]

    def policy(self, environment: Environment, model: str) -> Policy:
        """What a version of a model must show for an environment."""
        return self.policies[model].in_environment(environment.name, environment.rules)

    def named(self, chosen: str | None) -> tuple[str, ...]:
        """The models a command is about: the one named by --model, or all. Raises NotFoundError."""
        known = tuple(model.name for model in self.models)
        if chosen is None:
            return known
        if chosen not in known:
            raise NotFoundError(f"--model: found {chosen!r}, expected one of {', '.join(known)}")
        return (chosen,)

    def model(self, chosen: str | None) -> str:
        """The one model a command is about. Raises NotFoundError when there are several and none is named."""
        found = self.named(chosen)
        if len(found) > 1:
            raise NotFoundError(f"there are several models: name one with --model ({', '.join(found)})")
        return found[0]

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
        if environment.approvals and len(tools.persons) <= environment.approvals:
            expected = f"at least {environment.approvals + 1}: an author and {environment.approvals} who approve"
            found_persons = [person.name for person in tools.persons]
            raise ConfigError("environments/tools.toml", "persons", found_persons, expected)
    _refuse_edge_of_another_place(environments)
    _refuse_workflows_of_another_branch(root / ".github" / "workflows", tools.github.branch)
    models = read_models(root / "model")
    if gone := set(tools.kept_groups) - {model.name for model in models}:
        expected = f"of the models that there are, {', '.join(model.name for model in models)}"
        raise ConfigError("environments/tools.toml", "training.kept_groups", sorted(gone), expected)
    policies = {model.name: read_model_policy(root / "model" / model.name) for model in models}
    for model in models:
        refuse_misfits(policies[model.name], model, environments, tools.tiers)
    _refuse_shared_holdout(models, policies)
    return Configuration(tools, environments, models, policies)


def _refuse_shared_holdout(models: Sequence[Model], policies: Mapping[str, ModelPolicy]) -> None:
    """What one model's simple assurance shows of a holdout, another one's budget does not hide any more."""
    for model in models:
        for other in models:
            shown = isinstance(policies[other.name].assurance, Simple)
            if (
                model.holdout_data == other.holdout_data
                and shown
                and not isinstance(policies[model.name].assurance, Simple)
            ):
                found = f"simple, on the holdout {other.holdout_data} that {model.name} has under a budget"
                raise ConfigError(policies[other.name].file, "assurance", found, "a budget too, or rows of its own")


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
