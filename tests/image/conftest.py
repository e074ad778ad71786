"""The image of a commit for real: built by buildah, pushed to the embedded ECR, pulled by digest, run by podman.

It needs root and Debian's package tools, and installs the rest itself: it runs where CI=true, and is skipped elsewhere
with a reason. No registry of images is asked: the base image is made of Debian packages. These tests run last.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.gateway import proxy
from local.host import tls
from local.settings import HOST, Settings
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "tests" / "integration" / "local" / "containers" / "container_server.py"
PACKAGES = ("buildah", "podman", "runc", "skopeo", "mmdebstrap", "debian-archive-keyring")
BASE = "base-files,ca-certificates,coreutils,dash,libstdc++6,python3,python3-pip"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ACCOUNT, SECRET = "000000000000", "root-secret"
COMMIT = "c" * 40
ENGINE = """
[containers]
netns = "host"
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
WHY_NOT = "needs root, apt-get and minutes; `CI=true make test` and `make image` run it"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Last, and only where it is asked for."""
    own = [item for item in items if Path(__file__).parent in item.path.parents]
    items[:] = [item for item in items if item not in own] + own
    if os.environ.get("CI") != "true":
        for item in own:
            item.add_marker(pytest.mark.skip(reason=WHY_NOT))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured of the image, whether output is captured or not."""
    for report in terminalreporter.stats.get("passed", []):
        measured = dict(report.user_properties)
        if "image_mb" in measured:
            size, cold = measured["image_mb"], measured["cold_start_s"]
            terminalreporter.write_line(f"image: {size:.0f} MB unpacked; cold start until /ping: {cold:.1f} s")


@dataclass(frozen=True)
class Programs:
    """Programs that keep everything in one folder."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str, cwd: Path | None = None, **options: Any) -> str:
        """Standard output; a failure shows what the program said."""
        done = subprocess.run(
            command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def apart(self, name: str) -> Programs:
        """The same programs with an empty store of images."""
        folder = self.folder / name
        folder.mkdir()
        return Programs(folder, {**self.environment, "CONTAINERS_STORAGE_CONF": str(store(folder))})


def store(folder: Path) -> Path:
    file = folder / "storage.conf"
    places = f'graphroot = "{folder / "graph"}"\nrunroot = "{folder / "run"}"\n'
    file.write_text(f'[storage]\ndriver = "overlay"\n{places}')
    return file


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    folder = tmp_path_factory.mktemp("containers")
    (folder / "containers.conf").write_text(ENGINE)
    environment = {
        **os.environ,
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(store(folder)),
        "SOURCE_DATE_EPOCH": "0",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    made = Programs(folder, environment)
    if not all(shutil.which(program) for program in PACKAGES[:-1]):
        made.run("apt-get", "update", "-qq")
        made.run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *PACKAGES)
    return made


@pytest.fixture(scope="session")
def debian(tools: Programs) -> str:
    """A source line for the suite of the base image, from the mirror that this machine uses itself."""
    found = tools.run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Component: main")
    mirrors = [line for line in found.splitlines() if line.endswith("/debian")]
    assert mirrors, f"apt-get knows no mirror of Debian: {found}"
    return f"deb [signed-by={KEYRING}] {mirrors[0]} {SUITE} main"


@pytest.fixture(scope="session")
def cosign(tools: Programs, debian: str) -> str:
    """The real cosign, unpacked from Debian's package of the base image's suite; nothing is installed."""
    folder = tools.folder / "cosign"
    for inner in ("lists/partial", "cache/archives/partial", "unpacked"):
        (folder / inner).mkdir(parents=True)
    (folder / "sources.list").write_text(debian + "\n")
    (folder / "status").write_text("")
    options = {
        "Dir::Etc::sourcelist": "sources.list",
        "Dir::State::lists": "lists",
        "Dir::State::status": "status",
        "Dir::Cache": "cache",
    }
    apt = ["apt-get", "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User=root"]
    for name, value in options.items():
        apt += ["-o", f"{name}={folder / value}"]
    tools.run(*apt, "update", "-qq")
    tools.run(*apt, "download", "-qq", "cosign", cwd=folder)
    (package,) = folder.glob("cosign_*.deb")
    tools.run("dpkg-deb", "-x", str(package), str(folder / "unpacked"))
    return str(folder / "unpacked" / "usr" / "bin" / "cosign")


@pytest.fixture(scope="session")
def base_image(tools: Programs, debian: str) -> str:
    """Python of Debian packages alone, as policy's base image is: named by its digest."""
    archive, name = tools.folder / "base.tar", "localhost/python-base:test"
    (tools.folder / "empty").write_text("")  # where the mirror's authorities are mounted during the build
    tools.run("mmdebstrap", "--quiet", "--variant=extract", f"--include={BASE}", SUITE, str(archive), debian)
    container = tools.run("buildah", "from", "scratch")
    tools.run("buildah", "add", "--quiet", container, str(archive), "/")
    tools.run("buildah", "add", "--quiet", container, str(tools.folder / "empty"), CERTIFICATES)
    tools.run("buildah", "config", "--env", "PIP_BREAK_SYSTEM_PACKAGES=1", container)
    tools.run("buildah", "commit", "--quiet", "--rm", "--timestamp", "0", container, name)
    return name


@dataclass(frozen=True)
class EmbeddedRegistry:
    """The embedded ECR, and how programs that speak the registry protocol get in."""

    settings: Settings
    folder: Path

    @property
    def host(self) -> str:
        return f"{HOST}:{self.settings.port}"

    @property
    def access(self) -> tuple[str, ...]:
        return ("--authfile", str(self.folder / "config.json"), "--cert-dir", str(self.folder / "certificates"))

    def client(self, service: str) -> Any:
        return boto3.session.Session(
            aws_access_key_id=ACCOUNT, aws_secret_access_key=SECRET, region_name=self.settings.region
        ).client(
            service,
            endpoint_url=self.settings.endpoint,
            verify=str(self.settings.ca_bundle),
            config=Config(proxies={}, retries={"max_attempts": 0}),
        )


@pytest.fixture(
    scope="module"
)  # its variables lead every client of this process to it: no test of others may meet them
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRegistry]:
    port = free_ports(2)
    settings = Settings(tmp_path_factory.mktemp("embedded"), port)
    tls.make(settings)
    made = EmbeddedRegistry(settings, tmp_path_factory.mktemp("registry"))
    (made.folder / "certificates").mkdir()
    shutil.copy(settings.ca_bundle, made.folder / "certificates" / "ca.crt")
    log = settings.state / "server.log"
    command = [sys.executable, str(SERVER), str(settings.state), str(port), SECRET]
    with log.open("wb") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as server:
        try:
            deadline = time.monotonic() + 60
            while not _answers(port):
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            ecr = made.client("ecr")
            ecr.create_repository(repositoryName="lockgate-models", imageTagMutability="IMMUTABLE")
            token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
            assert base64.b64decode(token).startswith(b"AWS:")
            (made.folder / "config.json").write_text(json.dumps({"auths": {made.host: {"auth": token}}}))
            with proxy.in_background(replace(settings, proxy_port=port + 1)), pytest.MonkeyPatch.context() as patch:
                patch.setenv("https_proxy", f"http://{HOST}:{port + 1}")
                patch.setenv("SSL_CERT_FILE", str(settings.ca_bundle))
                yield made
        finally:
            server.kill()  # it would wait for clients that keep their connections
            server.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
