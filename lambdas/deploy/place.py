"""One model in this environment: its release stack, its journal, and the clients that the actions need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared
from lockgate.aws import clients
from lockgate.aws.deployments import Deployments
from lockgate.aws.journal import Journal
from lockgate.ledger.journal import Fact, K
from lockgate.release.attempts import Attempt, deadline_of
from lockgate.release.stack import Stack


@dataclass(frozen=True)
class Settings:
    environment: str
    releases_bucket: str
    releases_repository: str
    cluster: str
    service_url: str
    release_role_arn: str
    ledger_bucket: str


class Place:
    """What an action works on; it asks AWS only when it is asked itself."""

    def __init__(self, settings: Settings, model: str) -> None:
        self.settings = settings
        self.model = model
        self.s3 = clients.client("s3")
        self.journal = Journal(self.s3, settings.releases_bucket, model)
        self.deployments = Deployments(
            clients.client("cloudformation"),
            clients.client("ecs"),
            settings.environment,
            settings.cluster,
            settings.release_role_arn,
        )

    @property
    def ecr(self) -> Any:
        return clients.client("ecr")

    @property
    def cloudwatch(self) -> Any:
        return clients.client("cloudwatch")

    @property
    def url(self) -> str:
        """Where the model's /ping and /invocations are."""
        return f"{self.settings.service_url}/{self.model}"

    def stack(self) -> Stack:
        """Raises NotFoundError when the environment has no release stack for the model."""
        return self.deployments.stack(self.model)

    def deadline(self, attempt: Attempt | None = None) -> int:
        """Minutes until an attempt is stopped; of one that begins now by default."""
        return deadline_of(attempt, shared.environment(self.settings.environment).rollout.deadline_minutes)

    def remember(self, token: str, body: K) -> Fact[K]:
        """Write a fact into the journal, unless the one of this kind and token stands there."""
        return self.journal.append(token, body, shared.timestamp(shared.now()))
