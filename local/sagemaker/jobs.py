"""One job, from its role to its artifacts: the part of the container contract that every kind of job shares."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local import recorded
from local.ecr import repositories
from local.host.containers import ImageInvalid, ImageNotFound
from local.iam import roles as local_roles
from local.sagemaker import host, roles, state
from local.sagemaker.host import Credentials
from local.sagemaker.storage import JobFailed, Storage

ML = "/opt/ml"
INTERNAL_ERROR = "InternalServerError: We encountered an internal error. Please try again."
_DAY = 86400
_REASON_LIMIT = 1024
_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/([^:@]+)")


class JobStopped(Exception):  # noqa: N818  (the status AWS gives it)
    """The job ends as Stopped; the message says who or what stopped it."""


class JobProcesses:
    """The processes of one pipeline execution. Once stopped, it starts none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def run(self, image: Any, seconds: float, **how: Any) -> int:
        """Start the image's process and wait for its exit code, a signal counted as 128 + its number."""
        with self._lock:
            if self.stopped:
                raise JobStopped("StopPipelineExecution")
            process = host.images().start(image, settings=host.settings(), **how)
            self._processes.add(process)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            host.images().stop(process)
            raise JobStopped("MaxRuntimeExceeded") from error
        finally:
            self._processes.discard(process)
        if self.stopped:
            raise JobStopped("StopPipelineExecution")
        return code if code >= 0 else 128 - code

    def stop(self) -> None:
        """End every running process and refuse new ones. Waits until they ended."""
        with self._lock:
            self.stopped = True
            running = list(self._processes)
        for process in running:
            host.images().stop(process)


class SageMakerJob(ABC):
    """A job of one kind. `record` is what its Describe operation answers."""

    operation: str  # CreateProcessingJob
    log_group: str
    record: dict[str, Any]

    def __init__(self, name: str, request: Mapping[str, Any]) -> None:
        self.name = name
        self.request = request
        self.kms_key: str | None = None

    @property
    @abstractmethod
    def arn(self) -> str: ...

    @property
    @abstractmethod
    def image_uri(self) -> str: ...

    @property
    @abstractmethod
    def isolated(self) -> bool:
        """Whether the container gets no network and so no credentials."""

    @property
    @abstractmethod
    def command(self) -> tuple[Sequence[str] | None, Sequence[str]]:
        """Entry point (None: the image's own) and arguments."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Variables the platform adds to those of the request."""

    @abstractmethod
    def prepare(self, ml: Path, storage: Storage) -> None:
        """Lay out the folder that stands for /opt/ml: configuration and inputs."""

    @abstractmethod
    def collect(self, ml: Path, storage: Storage) -> None:
        """Upload what the container left behind."""

    @abstractmethod
    def failure(self, ml: Path) -> str:
        """What the container wrote about its end."""

    @abstractmethod
    def enter(self, status: str, reason: str | None = None) -> None:
        """Record that the job is in `status` from now on."""

    def run(self, running: JobProcesses) -> None:
        """Run the job to its end. The outcome, good or bad, is in `record`."""
        settings = host.settings()
        folder, log = settings.work / "jobs" / self.name, settings.logs / f"{self.name}.log"
        ml = folder / "opt" / "ml"
        for needed in (ml / "output", log.parent):
            needed.mkdir(parents=True, exist_ok=True)
        log.touch()
        credentials = roles.assume(self.request["RoleArn"])
        try:
            self._perform(ml, log, credentials, running)
            self.enter("Completed")
        except JobFailed as error:
            self.enter("Failed", str(error)[:_REASON_LIMIT])
        except JobStopped as error:
            self.enter("Stopped", str(error))
        except BaseException:
            self.enter("Failed", INTERNAL_ERROR)
            raise
        finally:
            _publish(log, self.log_group, f"{self.name}/algo-1-{int(state.now())}", credentials)
            shutil.rmtree(folder, ignore_errors=True)

    def _perform(self, ml: Path, log: Path, credentials: Credentials, running: JobProcesses) -> None:
        image = _pull(self.image_uri, credentials)
        storage = Storage(credentials, self.kms_key)
        self.prepare(ml, storage)
        entrypoint, arguments = self.command
        try:
            code = running.run(
                image,
                self.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DAY),
                entrypoint=entrypoint,
                arguments=arguments,
                environment={
                    **(_no_access(credentials) if self.isolated else _access(credentials)),
                    **self.environment,
                    **self.request.get("Environment", {}),
                },
                ml_root=ml,
                log=log,
            )
        except ImageInvalid as error:
            raise JobFailed(f"ClientError: Cannot run image {self.image_uri}: {error}") from error
        message = self.failure(ml)
        if code:
            raise JobFailed(f"AlgorithmError: {message}, exit code: {code}")
        self.collect(ml, storage)


def inside(ml: Path, container_path: str) -> Path:
    """The file that stands for a path below /opt/ml in the container."""
    if ".." in Path(container_path).parts or not container_path.startswith(f"{ML}/"):
        raise JobFailed(f"ClientError: LocalPath {container_path} must be below {ML}")
    return ml / container_path.removeprefix(f"{ML}/")


def write_json(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def first(file: Path, size: int) -> str:
    """The first `size` bytes of what a container wrote; "" if it wrote nothing."""
    if not file.is_file():
        return ""
    with file.open("rb") as content:
        return content.read(size).decode(errors="replace").strip()


def note_unused(request: Mapping[str, Any], instances: int) -> None:
    """Record what a job asks for and a process on this machine cannot give."""
    if instances > 1:
        recorded.note("sagemaker", "InstanceCount above 1: one process runs")
    if request.get("VpcConfig") or request.get("NetworkConfig", {}).get("VpcConfig"):
        recorded.note("sagemaker", "VpcConfig of jobs: a process uses this machine's network")


def _pull(image_uri: str, credentials: Credentials) -> Any:
    parts = _ECR.match(image_uri)
    if parts is None:
        raise JobFailed(f"ClientError: Invalid image URI {image_uri}. Please provide a valid Amazon ECR image URI.")
    refused = repositories.refusal_to_pull(credentials.access_key, image_uri)
    if refused:
        account, repository = parts.groups()
        raise JobFailed(
            f"ClientError: Cannot find repository: {repository} in registry ID: {account} Please check if your ECR "
            f"repository exists and role {credentials.role} has proper pull permissions for SageMaker: {refused}"
        )
    try:
        return host.images().pull(image_uri, host.settings())
    except (ImageNotFound, ImageInvalid) as error:
        raise JobFailed(f"ClientError: Requested image {image_uri} not found. ({error})") from error


def _no_access(credentials: Credentials) -> dict[str, str]:
    return {"AWS_REGION": credentials.region, "AWS_DEFAULT_REGION": credentials.region}


def _access(credentials: Credentials) -> dict[str, str]:
    return local_roles.environment(credentials.environment, credentials.region, host.settings())


def _publish(log: Path, group: str, stream: str, credentials: Credentials) -> None:
    """Copy a job's output to CloudWatch Logs as its role; like AWS, a role that may not write loses its logs."""
    recorded.note("sagemaker", "CloudWatch Logs get a job's output when it ends, not while it runs")
    lines = [line for line in log.read_text(errors="replace").splitlines() if line]
    when = int(state.now() * 1000)
    logs = host.client("logs", credentials)
    with contextlib.suppress(ClientError):
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        for start in range(0, len(lines), 500):
            batch = [{"timestamp": when, "message": line[:2000]} for line in lines[start : start + 500]]
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)
