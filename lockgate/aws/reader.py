"""Looking into an environment's account from the tools account, with the environment's read-only role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate import names
from lockgate.aws.deployments import Deployments
from lockgate.aws.journal import Journal
from lockgate.aws.sessions import session_with
from lockgate.configuration.environment import Environment
from lockgate.errors import NotFoundError
from lockgate.ledger.journal import Facts
from lockgate.release.comparison import Reality


def look_into(sts: Any, *, account: str, region: str, environment: str) -> Callable[[str], Any]:
    """Makes clients of the environment's reader role. Raises ClientError when the role cannot be assumed."""
    answer = sts.assume_role(
        RoleArn=names.role_arn(account, names.reader_role(environment)), RoleSessionName="lockgate-tools"
    )
    client: Callable[[str], Any] = session_with(answer["Credentials"], region).client
    return client


class Look:
    """What an environment says of itself. Each question raises what a call of AWS may."""

    def __init__(self, environment: Environment, client: Callable[[str], Any]) -> None:
        self._environment = environment
        self._client = client

    def journal(self, model: str) -> Facts:
        """What it remembers of a model. Raises LedgerError when a fact is missing or altered."""
        name, account, region = self._environment.name, self._environment.account, self._environment.region
        return Journal(self._client("s3"), names.releases_bucket(name, account, region), model).entries()

    def reality(self, model: str) -> Reality | None:
        """What it serves of a model; None where it has no stack for it."""
        name = self._environment.name
        client = self._client
        try:
            return Deployments(client("cloudformation"), client("ecs"), name, names.cluster(name), "").reality(model)
        except NotFoundError:
            return None


def look_at(sts: Any, environment: Environment) -> Look:
    """Look into an environment of the configuration. Raises ClientError when its role cannot be assumed."""
    client = look_into(sts, account=environment.account, region=environment.region, environment=environment.name)
    return Look(environment, client)
