"""Where one embedded AWS keeps its files and listens; the one place for its paths and ports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Settings:
    """Everything a module of the embedded AWS needs to know about the instance it extends.

    state: folder that belongs to this instance alone (certificates, images, task logs, session file).
    port: gateway port (TLS), shared by every AWS service.
    proxy_port: HTTP CONNECT proxy that carries *.amazonaws.com and *.on.aws names to the gateway.
    github_port: stand-in for GitHub's OIDC token endpoint.
    """

    state: Path
    port: int = 4566
    proxy_port: int = 4567
    github_port: int = 4568
    region: str = "us-east-1"

    @property
    def endpoint(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def ca_bundle(self) -> Path:
        return self.state / "tls" / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.state / "tls" / "gateway.pem"

    @property
    def private_key(self) -> Path:
        return self.state / "tls" / "gateway-key.pem"

    @property
    def aws_config_file(self) -> Path:
        return self.state / "aws" / "config"

    @property
    def aws_credentials_file(self) -> Path:
        return self.state / "aws" / "credentials"

    @property
    def server_log(self) -> Path:
        return self.logs / "server.log"

    @property
    def scratch(self) -> Path:
        """Temporary folder of the server and of all it starts."""
        return self.state / "tmp"

    @property
    def ready_file(self) -> Path:
        """Written when the gateway answers."""
        return self.state / "ready"

    @property
    def children_file(self) -> Path:
        """Processes below the server, as pid -> start time, so that a killed server leaves none behind."""
        return self.state / "children.json"

    @property
    def recorded_file(self) -> Path:
        """What was only recorded and not performed (see local.recorded)."""
        return self.state / "recorded.json"

    @property
    def clock_file(self) -> Path:
        """What time it is here (see local.clock)."""
        return self.state / "clock"

    @property
    def faults_file(self) -> Path:
        """The faults that are asked for (see local.faults)."""
        return self.state / "faults.json"

    @property
    def faults_log(self) -> Path:
        """What was injected, one JSON object a line."""
        return self.logs / "faults.jsonl"

    @property
    def images(self) -> Path:
        return self.state / "images"

    @property
    def scans(self) -> Path:
        """Results of image scans that a test wants (see local.ecr.scans)."""
        return self.state / "scans.json"

    @property
    def work(self) -> Path:
        return self.state / "work"

    @property
    def logs(self) -> Path:
        return self.state / "logs"


def default_state() -> Path:
    """Folder of the instance that `make demo` and `lockgate up` use: in the checkout, or where a wheel's runs."""
    checkout = Path(__file__).parent.parent
    root = checkout if (checkout / "environments").is_dir() else Path.cwd()
    return Path(os.environ.get("LOCKGATE_LOCAL_STATE", root / ".lockgate"))
