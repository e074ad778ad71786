"""What the service stands on: the instance's settings, the module that runs images, AWS clients for a role."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config

from local.settings import Settings


class Images(Protocol):
    """The part of `local.host.containers` that jobs use."""

    def pull(self, image_uri: str, settings: Settings) -> Any: ...

    def start(
        self,
        image: Any,
        *,
        entrypoint: Sequence[str] | None,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        ml_root: Path | None,
        log: Path,
        settings: Settings,
    ) -> subprocess.Popen[bytes]: ...

    def stop(self, process: subprocess.Popen[bytes]) -> int: ...


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of an assumed role. `environment` holds them as AWS_* variables."""

    environment: Mapping[str, str]
    role: str
    region: str

    @property
    def access_key(self) -> str:
        return self.environment["AWS_ACCESS_KEY_ID"]


class _Host:
    settings: Settings
    images: Images
    session: Any


_host = _Host()
_making_clients = threading.Lock()  # a boto3 session must not make two clients at once
_CONFIG = Config(connect_timeout=5, read_timeout=900, retries={"total_max_attempts": 2})


def configure(settings: Settings, images: Images) -> None:
    _host.settings, _host.images, _host.session = settings, images, boto3.Session()


def settings() -> Settings:
    return _host.settings


def images() -> Images:
    return _host.images


def client(service: str, credentials: Credentials) -> Any:
    """A boto3 client that reaches the emulator's own endpoint, so that its IAM decides."""
    with _making_clients:
        return _host.session.client(
            service,
            region_name=credentials.region,
            endpoint_url=_host.settings.endpoint,
            verify=str(_host.settings.ca_bundle),
            **{name.lower(): value for name, value in credentials.environment.items()},
            config=_CONFIG,
        )
