"""A real embedded AWS for the tests of its core, on free ports and in a temporary state folder."""

from __future__ import annotations

import configparser
import io
import json
import ssl
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local import embedded
from local.settings import HOST, Settings
from tests.ports import free_ports

TOOLS, DEV = "111111111111", "222222222222"


def free_settings(state: Path) -> Settings:
    """Settings on three ports of its own."""
    port = free_ports(3)
    return Settings(state, port, port + 1, port + 2)


@dataclass
class EmbeddedAws:
    """A running instance, and clients of it as any of its identities."""

    session: embedded.Session
    tools: str = TOOLS
    dev: str = DEV
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def credentials(self, profile: str) -> dict[str, str]:
        """Keyword arguments of a boto3 session for the holder of a profile."""
        parser = configparser.RawConfigParser()
        parser.read(self.session.settings.aws_credentials_file)
        return dict(parser[profile])

    def client(self, service: str, profile: str = "ada") -> Any:
        if (service, profile) not in self._clients:
            self._clients[service, profile] = self.client_of(service, self.credentials(profile))
        return self._clients[service, profile]

    def client_of(self, service: str, credentials: dict[str, str]) -> Any:
        settings = self.session.settings
        config = Config(proxies={}, s3={"addressing_style": "path"}, retries={"max_attempts": 1})
        return boto3.session.Session(**credentials, region_name=settings.region).client(
            service, endpoint_url=settings.endpoint, verify=str(settings.ca_bundle), config=config
        )

    def assume(self, role_arn: str, session_name: str, profile: str = "ada") -> dict[str, str]:
        """Credentials of a role, as `credentials` gives those of a user."""
        keys = self.client("sts", profile).assume_role(RoleArn=role_arn, RoleSessionName=session_name)["Credentials"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }

    def role(self, name: str, trust: dict[str, Any], allow: dict[str, Any] | None = None, profile: str = "ada") -> str:
        """Create a role; `trust` is its one trust statement and `allow` its one permission, both without effect.

        One that another file's test left under this name goes first: which files share a process is nobody's choice.
        """
        iam = self.client("iam", profile)
        with suppress(iam.exceptions.NoSuchEntityException):
            for left in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName=left)
            iam.delete_role(RoleName=name)
        arn: str = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=policy({"Action": "sts:AssumeRole", **trust})
        )["Role"]["Arn"]
        if allow is not None:
            iam.put_role_policy(RoleName=name, PolicyName="allow", PolicyDocument=policy(allow))
        return arn

    def function(self, name: str, source: str, profile: str = "ada") -> str:
        """Create a Lambda function whose module is `source` and whose handler is `handler`."""
        role = self.role(f"{name}-role", {"Principal": {"Service": "lambda.amazonaws.com"}}, profile=profile)
        arn: str = self.client("lambda", profile).create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="index.handler",
            Role=role,
            Code={"ZipFile": self.archive(source)},
        )["FunctionArn"]
        return arn

    @staticmethod
    def archive(source: str) -> bytes:
        """The archive of a function, as `function` deploys it."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("index.py", source)
        return archive.getvalue()

    def deploy(self, name: str, resources: dict[str, Any], **sections: Any) -> dict[str, str]:
        """Create or update a stack, wait for its end, and return its outputs; AssertionError if it failed."""
        cloudformation = self.client("cloudformation")
        known = {stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]}
        act = cloudformation.update_stack if name in known else cloudformation.create_stack
        parameters = sections.pop("parameters", [])
        template = json.dumps({"Resources": resources, **sections})
        act(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"], Parameters=parameters)
        stack = wait_until(
            lambda: cloudformation.describe_stacks(StackName=name)["Stacks"][0],
            lambda found: not found["StackStatus"].endswith("IN_PROGRESS"),
        )
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def policy(*statements: dict[str, Any]) -> str:
    """A policy document; a statement allows unless it says otherwise."""
    listed = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": listed})


PAUSE = 0.2  # seconds: the embedded AWS's clock goes on where no client has asked for 60 ms


def wait_until(read: Callable[[], Any], done: Callable[[Any], bool] = bool, seconds: float = 20.0) -> Any:
    """The first reading that is `done`; AssertionError with the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not done(found := read()):
        assert time.monotonic() < deadline, f"still waiting after {seconds} s: {found}"
        time.sleep(PAUSE)
    return found


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """One embedded AWS for all tests of this folder; each uses names of its own in it."""
    settings = free_settings(tmp_path_factory.mktemp("embedded") / "state")
    session = embedded.start(settings, {"tools": TOOLS, "dev": DEV})
    yield EmbeddedAws(session)
    embedded.stop(settings.state)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of an instance that the test starts itself; it is ended afterwards if the test did not."""
    chosen = free_settings(tmp_path / "state")
    yield chosen
    embedded.stop(chosen.state)


@pytest.fixture
def clients_of() -> Callable[[embedded.Session], EmbeddedAws]:
    """Clients of an instance that the test started itself."""
    return EmbeddedAws


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., Any]:
    return wait_until


@pytest.fixture(name="policy")
def policy_fixture() -> Callable[..., str]:
    return policy


@pytest.fixture
def get(aws: EmbeddedAws) -> Callable[..., tuple[int, bytes]]:
    """A plain HTTPS request to the gateway, without any signature: status and body."""
    settings = aws.session.settings

    def send(path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, bytes]:
        trust = ssl.create_default_context(cafile=str(settings.ca_bundle))
        with closing(HTTPSConnection(HOST, settings.port, context=trust, timeout=10)) as connection:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    return send
