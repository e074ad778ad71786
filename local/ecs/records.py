"""What the scheduler knows of a service and of each of its deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import ecs

from local.clock import CLOCK
from local.ecs.traffic import Route


@dataclass(eq=False)
class ServiceDeployment:
    """One deployment of a service: what DescribeServices shows of it, and what only the scheduler knows."""

    record: dict[str, Any]
    routes: list[Route] = field(default_factory=list)
    stage: str = "RECONCILE_SERVICE"
    status: str = "PENDING"
    failures: int = 0
    last_failure: str = ""
    retry_at: float = 0.0
    started: float = field(default_factory=CLOCK.now)
    finished: float | None = None
    # Alarms that were in ALARM when the deployment began: ECS ignores them for its whole length.
    ignored: frozenset[str] = frozenset()
    triggered: tuple[str, ...] = ()
    production: int = 0
    # Why somebody's StopServiceDeployment ends it; empty while nobody asked.
    stopped: str = ""

    @property
    def id(self) -> str:
        return str(self.record["id"])


def revision_arn(service: Mapping[str, Any], release: ServiceDeployment) -> str:
    """ARN of what a deployment brings: ours have one revision each, under the same id."""
    return f"{service['serviceArn'].replace(':service/', ':service-revision/')}/{release.id.rpartition('/')[2]}"


def deployment_arn(service: Mapping[str, Any], release: ServiceDeployment) -> str:
    return f"{service['serviceArn'].replace(':service/', ':service-deployment/')}/{release.id.rpartition('/')[2]}"


@dataclass(eq=False)
class ScheduledService:
    """The scheduler's view of one service. `record` is the emulator's own, which every Describe call reads."""

    key: str
    record: dict[str, Any]
    account: str
    region: str
    releases: dict[str, ServiceDeployment] = field(default_factory=dict)
    live: ServiceDeployment | None = None

    @property
    def cluster(self) -> str:
        return self.key.split("/", 1)[0]

    @property
    def active(self) -> bool:
        return bool(self.record["status"] == "ACTIVE")

    def ended(self, deployment: str) -> bool:
        return deployment not in self.releases or self.releases[deployment].finished is not None

    def say(self, message: str) -> None:
        self.record["events"].insert(
            0,
            {"id": new_uuid(), "createdAt": ecs._iso(), "message": f"(service {self.record['serviceName']}) {message}"},
        )
