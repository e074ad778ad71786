"""A running emulator with the container-shaped extensions, and what several tests need of it."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.clients import move_clock
from local.gateway import proxy
from local.host import tls
from local.images import builder
from local.images import push as registry
from local.settings import HOST, Settings
from tests.ports import free_ports

ACCOUNT = "111111111111"
SECRET = "root-secret"

DOCKERFILE = """\
FROM python:3.13-slim
ENV PYTHONPATH=/app
WORKDIR /app
COPY app.py version ./
ENTRYPOINT ["python3", "-m", "app"]
"""

# Answers every path with the version; /health as the version says; /environment with its own environment.
# A version that is failing answers everything but /health with 500.
APP = """\
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

version = Path("version").read_text().strip()
print("starting", version, flush=True)
metric = {"Namespace": "Tests", "Dimensions": [["Release"]], "Metrics": [{"Name": "Distance"}]}
distance = 0.9 if version.startswith("shifted") else 0.1
print(json.dumps({"_aws": {"CloudWatchMetrics": [metric]}, "Release": version, "Distance": distance}), flush=True)
print('{"_aws": {"CloudWatchMetrics": [{}]}}', flush=True)
if version.startswith("ends"):
    sys.exit(3)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/end":
            os._exit(9)
        text = json.dumps(dict(os.environ)) if self.path == "/environment" else version
        failing = version.startswith("failing") and self.path != "/health"
        sick = version.startswith("sick") and self.path == "/health"
        self.send_response(500 if failing else 503 if sick else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass

ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer((os.environ["BIND_HOST"], int(os.environ["BIND_PORT"])), Handler).serve_forever()
"""


@dataclass(frozen=True)
class EmbeddedContainers:
    """One running emulator."""

    settings: Settings

    def client(self, service: str, account: str = ACCOUNT) -> Any:
        return boto3.session.Session(
            aws_access_key_id=account, aws_secret_access_key=SECRET, region_name=self.settings.region
        ).client(
            service,
            endpoint_url=self.settings.endpoint,
            verify=str(self.settings.ca_bundle),
            config=Config(proxies={}, retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    def token(self, ecr: Any = None) -> str:
        """Password of `docker login` for the caller behind the ECR client `ecr`, by default the account's root."""
        data = (ecr or self.client("ecr")).get_authorization_token()["authorizationData"][0]
        return base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]

    def push(self, build: builder.BuiltImage, tag: str, token: str) -> str:
        """Push an image to the repository `app`; returns its URI with digest."""
        host = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
        to = registry.reference(f"{host}/app:{tag}")
        registry.push(build, to, self.settings.endpoint, str(self.settings.ca_bundle), token)
        return f"{host}/app@{build.digest}"

    def get(self, host: str, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
        """One request as a client of a load balancer makes it."""
        context = ssl.create_default_context(cafile=str(self.settings.ca_bundle))
        connection = http.client.HTTPSConnection(HOST, self.settings.port, context=context, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def move_clock(self, **wanted: bool | float) -> None:
        move_clock(self.settings, **wanted)

    @contextmanager
    def held_clock(self) -> Iterator[None]:
        """The clock stands still meanwhile."""
        self.move_clock(hold=True)
        try:
            yield
        finally:
            self.move_clock(hold=False)

    def recorded(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = json.loads(self.settings.recorded_file.read_text())
        return found


def wait_until(reached: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `reached` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, f"not reached within {seconds} s: {found}"
        time.sleep(0.1)  # the clock goes on while nobody asks
    return found


@pytest.fixture(scope="session")
def free_port() -> int:
    return free_ports(1)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedContainers]:
    port = free_ports(1)
    settings = Settings(tmp_path_factory.mktemp("embedded"), port)
    tls.make(settings)
    log = settings.state / "server.log"
    command = [
        sys.executable,
        str(Path(__file__).with_name("container_server.py")),
        str(settings.state),
        str(port),
        SECRET,
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            wait_until(lambda: server.poll() is not None or _answers(port), 30)
            assert server.poll() is None, log.read_text()
            yield EmbeddedContainers(settings)
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture(scope="module")
def through_the_proxy(embedded: EmbeddedContainers, free_port: int) -> Iterator[None]:
    """Names of AWS lead to the emulator, as they do for its functions."""
    with proxy.in_background(replace(embedded.settings, proxy_port=free_port)), pytest.MonkeyPatch.context() as patch:
        patch.setenv("https_proxy", f"http://127.0.0.1:{free_port}")
        patch.setenv("SSL_CERT_FILE", str(embedded.settings.ca_bundle))
        yield


@pytest.fixture(scope="session")
def repository(embedded: EmbeddedContainers) -> None:
    """The repository `app`, with immutable tags and scan on push."""
    embedded.client("ecr").create_repository(
        repositoryName="app", imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True}
    )


@pytest.fixture(scope="session")
def make_image(
    embedded: EmbeddedContainers, repository: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Build and push an image whose server has the given version; returns its URI with digest."""
    token = embedded.token()

    def make(version: str) -> str:
        context = tmp_path_factory.mktemp("context")
        (context / "app.py").write_text(APP)
        (context / "version").write_text(version)
        return embedded.push(builder.build(DOCKERFILE, context), version, token)

    return make


@pytest.fixture
def events(
    embedded: EmbeddedContainers,
) -> Callable[[str], Callable[[Callable[[dict[str, Any]], bool]], dict[str, Any]]]:
    """events(source) begins to collect; what it returns waits for the first event that fits a condition."""

    def collect(source: str) -> Callable[[Callable[[dict[str, Any]], bool]], dict[str, Any]]:
        sqs, bridge = embedded.client("sqs"), embedded.client("events")
        name = source.replace(".", "-")
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [allow]})})
        bridge.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))
        bridge.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        received: list[dict[str, Any]] = []

        def first(fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            def found() -> dict[str, Any] | None:
                messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
                received.extend(json.loads(message["Body"]) for message in messages)
                return next((event for event in received if fits(event)), None)

            event: dict[str, Any] = wait_until(found)
            return event

        return first

    return collect


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    return wait_until


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
