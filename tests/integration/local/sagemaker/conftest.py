"""An embedded SageMaker to test against: one server for all tests here, real clients, two roles, a bucket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.host import tls
from local.settings import HOST, Settings
from tests.ports import free_ports

_HERE = Path(__file__).parent
ACCOUNT = "111122223333"
REGION = "us-east-1"
BUCKET = "rows"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/model@sha256:{'a' * 64}"


@dataclass(frozen=True)
class EmbeddedSageMaker:
    """A running server and what every test needs of it."""

    settings: Settings
    pipeline_role: str
    job_role: str
    account: str = ACCOUNT
    bucket: str = BUCKET
    image: str = IMAGE

    def client(self, service: str, key: str = ACCOUNT, secret: str = "test") -> Any:  # noqa: S107
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.settings.endpoint,
            verify=str(self.settings.ca_bundle),
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def role(self, name: str, statements: list[dict[str, Any]], service: str = "sagemaker.amazonaws.com") -> str:
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Statement": statements}))
        return str(created["Role"]["Arn"])

    def pipeline(self, name: str, *steps: dict[str, Any], role: str = "", parameters: Any = ()) -> Any:
        definition = {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)}
        sagemaker = self.client("sagemaker")
        sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=role or self.pipeline_role
        )
        return sagemaker

    def finish(self, execution: str) -> dict[str, Any]:
        """Wait for an execution to end; its description, with its steps by name under "steps"."""
        sagemaker = self.client("sagemaker")
        deadline = time.monotonic() + 15
        while True:
            described: dict[str, Any] = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
            if described["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
                break
            assert time.monotonic() < deadline, described
            time.sleep(0.02)
        listed = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution, MaxResults=100)
        return {**described, "steps": {step["StepName"]: step for step in listed["PipelineExecutionSteps"]}}

    def run(self, name: str, *steps: dict[str, Any], role: str = "") -> dict[str, Any]:
        sagemaker = self.pipeline(name, *steps, role=role)
        return self.finish(sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"])

    def processing(self, name: str, *arguments: Any, **more: Any) -> dict[str, Any]:
        """A Processing step; `inputs` and `outputs` map S3 URIs to the folders below /opt/ml/processing."""
        return {
            "Name": name,
            "Type": "Processing",
            "Arguments": {
                "RoleArn": more.get("role", self.job_role),
                "AppSpecification": {"ImageUri": self.image, "ContainerArguments": list(arguments)},
                "ProcessingResources": {
                    "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
                },
                "ProcessingInputs": [
                    {
                        "InputName": folder,
                        "S3Input": {
                            "S3Uri": uri,
                            "LocalPath": f"/opt/ml/processing/{folder}",
                            "S3DataType": "S3Prefix",
                            "S3InputMode": "File",
                        },
                    }
                    for folder, uri in more.get("inputs", {}).items()
                ],
                "ProcessingOutputConfig": {
                    "Outputs": [
                        {
                            "OutputName": folder,
                            "S3Output": {
                                "S3Uri": uri,
                                "LocalPath": f"/opt/ml/processing/{folder}",
                                "S3UploadMode": "EndOfJob",
                            },
                        }
                        for folder, uri in more.get("outputs", {}).items()
                    ]
                },
            },
            **more.get("step", {}),
        }


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedSageMaker]:
    port = free_ports(1)
    settings = Settings(tmp_path_factory.mktemp("embedded"), port=port)
    tls.make(settings)
    image = settings.images / "model"
    image.mkdir(parents=True)
    shutil.copy(_HERE / "container.py", image / "main.py")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHONDONTWRITE"))
    }
    environment["TMPDIR"] = str(settings.state)
    with (settings.state / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, str(_HERE / "server.py"), str(settings.state), str(port)],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield _furnished(settings, server)
    finally:
        server.kill()
        server.wait()


def _furnished(settings: Settings, server: subprocess.Popen[bytes]) -> EmbeddedSageMaker:
    while True:
        assert server.poll() is None, (settings.state / "server.log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex((HOST, settings.port)) == 0:
                break
        time.sleep(0.02)
    bare = EmbeddedSageMaker(settings, "", "")
    s3 = bare.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="raw/rows.csv", Body=b"1 2 3")
    objects = {
        "Effect": "Allow",
        "Action": ["s3:*"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    }
    image = {"Effect": "Allow", "Action": ["ecr:*", "logs:*"], "Resource": "*"}
    job_role = bare.role("job", [objects, image])
    start = {"Effect": "Allow", "Action": "sagemaker:Create*", "Resource": "*"}
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/job*"}
    return EmbeddedSageMaker(settings, bare.role("pipeline", [start, passing, objects]), job_role)
