"""ECS tasks that really run: each container of a task is a process, told by BIND_HOST and BIND_PORT where to listen.

The execution role must be allowed to pull the image, read the secrets and write the logs; the process itself gets
the task role's credentials. A task that cannot start stops with AWS's own reason.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ministack.core.concurrency import resource_lock, spawn_background
from ministack.core.responses import request_scope
from ministack.services import ecs

from local import recorded
from local.clock import CLOCK
from local.cloudwatch import log_metrics
from local.ecr import repositories
from local.ecs import metadata
from local.elbv2 import load_balancers
from local.elbv2 import targets as alb_targets
from local.eventbridge.service_events import emit
from local.host import containers, processes
from local.iam import roles
from local.settings import HOST, Settings

_log = logging.getLogger("ecs")
_PRINCIPAL = "ecs-tasks.amazonaws.com"
_STOP_TIMEOUT = 30
# A task without load balancer counts as started when it has run this long.
STEADY = 30.0
# A task looks at its predictions by the wall clock. The clock waits for the look after an answer, so that no minute is
# without one; not for ever, since not every image looks.
_METRIC_SECONDS = 0.05
_LOOKS_WITHIN = 10.0
# Fields of a container definition that need a container runtime.
_NOT_PERFORMED = (
    "healthCheck",
    "ulimits",
    "linuxParameters",
    "mountPoints",
    "volumesFrom",
    "dependsOn",
    "user",
    "readonlyRootFilesystem",
)


@dataclass(eq=False)
class Running:
    """The processes of one task, its ports by (container, container port), and where it is registered."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    targets: list[alb_targets.RegisteredTarget] = field(default_factory=list)
    stop_timeout: float = _STOP_TIMEOUT
    since: float = field(default_factory=CLOCK.now)
    # How often it described a metric in its log, and when last, in seconds of the clock that only runs forward.
    looks: int = 0
    looked: float = 0.0

    def owes_a_look(self, now: float) -> bool:
        answered = max((target.answered for target in self.targets), default=0.0)
        return self.looks > 1 and self.looked < answered + _METRIC_SECONDS and now < answered + _LOOKS_WITHIN


class TaskStartError(Exception):
    """A task cannot start; the message is its stoppedReason."""


_running: dict[str, Running] = {}


def of(task_arn: str) -> Running | None:
    """What runs for a task; None before its start and after its end."""
    return _running.get(task_arn)


def busy() -> bool:
    """Whether a task is on its way: not running yet, or with processes that are busy and have never answered.

    Or whether one has yet to say what it makes of an answer.
    """
    on_their_way = ("PROVISIONING", "PENDING", "ACTIVATING")
    if any(task["lastStatus"] in on_their_way for _, task in list(ecs._tasks.all_items())):
        return True
    moment = time.monotonic()
    if any(running.owes_a_look(moment) for running in list(_running.values())):
        return True
    now = CLOCK.now()
    return any(
        processes.busy(process.pid)
        for running in list(_running.values())
        if any(target.state == "initial" for target in running.targets)
        or (not running.targets and now < running.since + STEADY)
        for process in running.processes
    )


def start(
    task: dict[str, Any],
    definition: Mapping[str, Any],
    overrides: Sequence[Mapping[str, Any]],
    account: str,
    region: str,
    settings: Settings,
) -> None:
    """Bring a PROVISIONING task to RUNNING, or to STOPPED with the reason."""
    arn = task["taskArn"]
    with request_scope(account, region):
        if not (ecs._mark_task_pending(arn, task) and ecs._mark_task_activating(arn, task)):
            return
        running = _running[arn] = Running()
        try:
            for index, container in enumerate(definition["containerDefinitions"]):
                override = ecs._container_override_for(overrides, container["name"])
                _start_container(task, definition, index, {**container, **_changed(container, override)}, settings)
        except (TaskStartError, roles.RoleRefusedError, ecs._SecretResolutionError) as error:
            ecs._mark_task_stopped(arn, task, str(error), "TaskFailedToStart")
        except Exception as error:
            _log.exception("task %s", arn)
            reason = f"ResourceInitializationError: {type(error).__name__}: {error}"
            ecs._mark_task_stopped(arn, task, reason, "TaskFailedToStart")
        if ecs._mark_task_running(arn, task):
            for index, process in enumerate(running.processes):
                spawn_background(_watch, task, index, process, thread_name=f"ecs-watch-{arn[-8:]}")
        else:
            end(arn)


def end(task_arn: str) -> None:
    """Take a task out of its target groups, let its last requests finish, and end its processes."""
    running = _running.pop(task_arn, None)
    metadata.forget(task_arn)
    if running is None:
        return
    drains = [threading.Thread(target=load_balancers.deregister, args=(target,)) for target in running.targets]
    for drain in drains:
        drain.start()
    for drain in drains:
        drain.join()
    for process in running.processes:
        containers.stop(process, running.stop_timeout)


def announce(task: Mapping[str, Any]) -> None:
    """Put the task's state on the event bus, as ECS does at every change."""
    arn = task["taskArn"]
    emit("aws.ecs", "ECS Task State Change", ecs._sanitize(task), [arn], arn.split(":")[4], arn.split(":")[3])
    alb_targets.changes.happened()


def _changed(container: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {key: override[key] for key in ("command",) if key in override}
    merged["environment"] = [*container.get("environment", []), *override.get("environment", [])]
    return merged


def _start_container(
    task: dict[str, Any], definition: Mapping[str, Any], index: int, container: Mapping[str, Any], settings: Settings
) -> None:
    arn, record = task["taskArn"], task["containers"][index]
    account, region, task_id = arn.split(":")[4], arn.split(":")[3], arn.rsplit("/", 1)[-1]
    running = _running[arn]
    for name in _NOT_PERFORMED:
        if container.get(name):
            recorded.note("ecs", f"container definition: {name} is accepted, not performed")
    executor = _execution_key(definition, arn)
    image = _pull(container["image"], executor, settings)
    record["imageDigest"] = image.digest
    environment = {
        **roles.environment(_task_credentials(definition, arn), region, settings),
        **{entry["name"]: str(entry["value"]) for entry in container["environment"]},
        **_secrets(container, executor, account, region),
        **_bind(running, container),
        **metadata.told(task, definition),
        "METRIC_SECONDS": str(_METRIC_SECONDS),
    }
    running.stop_timeout = float(container.get("stopTimeout", _STOP_TIMEOUT))
    log = settings.work / "ecs" / task_id / container["name"]
    log.parent.mkdir(parents=True, exist_ok=True)
    # A named pipe: what the process writes is in CloudWatch Logs at once, and nothing polls a file.
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    stream = _log_stream(container, task_id, executor, account, region)
    try:
        process = containers.start(
            image,
            entrypoint=container.get("entryPoint") or None,
            arguments=container.get("command") or [],
            environment=environment,
            ml_root=None,
            log=log,
            settings=settings,
        )
    except containers.ImageInvalid as error:
        os.close(reader)
        raise TaskStartError(f"CannotStartContainerError: {error}") from error
    running.processes.append(process)
    os.set_blocking(reader, True)
    spawn_background(_forward, reader, stream, running, thread_name=f"ecs-log-{task_id[:8]}")
    with resource_lock("ecs-task", arn):
        record["runtimeId"], record["lastStatus"] = f"{task_id}-{process.pid}", "RUNNING"
        record["networkInterfaces"] = [{"attachmentId": str(uuid.uuid4()), "privateIpv4Address": HOST}]


def _execution_key(definition: Mapping[str, Any], task_arn: str) -> str:
    """Access key with which ECS itself prepares the task. Fargate cannot pull from ECR without an execution role."""
    role = definition.get("executionRoleArn")
    if not role:
        raise TaskStartError("ResourceInitializationError: the task definition has no execution role")
    return _assumed(role, task_arn)["AWS_ACCESS_KEY_ID"]


def _task_credentials(definition: Mapping[str, Any], task_arn: str) -> dict[str, str]:
    role = definition.get("taskRoleArn")
    return _assumed(role, task_arn) if role else {}


def _assumed(role_arn: str, task_arn: str) -> dict[str, str]:
    return roles.assume(role_arn, _PRINCIPAL, task_arn.rpartition("/")[2], {"aws:SourceArn": task_arn})


def _pull(image_uri: str, access_key: str, settings: Settings) -> containers.UnpackedImage:
    if containers.is_ecr(image_uri):
        refusal = repositories.refusal_to_pull(access_key, image_uri)
        if refusal:
            raise TaskStartError(f"CannotPullContainerError: pull image manifest has been retried 1 time(s): {refusal}")
    try:
        return containers.pull(image_uri, settings)
    except (containers.ImageNotFound, containers.ImageInvalid) as error:
        raise TaskStartError(f"CannotPullContainerError: {error}") from error


def _secrets(container: Mapping[str, Any], access_key: str, account: str, region: str) -> dict[str, str]:
    for secret in container.get("secrets", []):
        source = secret["valueFrom"]
        if ":secretsmanager:" in source:
            action, arn = "secretsmanager:GetSecretValue", ":".join(source.split(":")[:7])
        else:
            action = "ssm:GetParameters"
            name = source.lstrip("/")
            arn = source if source.startswith("arn:") else f"arn:aws:ssm:{region}:{account}:parameter/{name}"
        if not roles.allowed(access_key, action, arn):
            raise TaskStartError(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution role is not "
                f"authorized to perform: {action} on resource: {arn}"
            )
    resolved: dict[str, str] = ecs._resolve_container_secrets(container)
    return resolved


def _bind(running: Running, container: Mapping[str, Any]) -> dict[str, str]:
    """Choose a free loopback port for the container's first port mapping, instead of a network interface."""
    mappings = container.get("portMappings") or []
    if not mappings:
        return {}
    recorded.note("ecs", "task network: a task listens on a loopback port; security groups are not enforced")
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    running.ports[container["name"], int(mappings[0]["containerPort"])] = port
    return {"BIND_HOST": HOST, "BIND_PORT": str(port)}


def _log_stream(
    container: Mapping[str, Any], task_id: str, access_key: str, account: str, region: str
) -> dict[str, Any] | None:
    """The awslogs stream of a container, created; None when the definition asks for no awslogs."""
    stream: dict[str, Any] | None = ecs._awslogs_config(container, task_id, task_id)
    if stream is None:
        return None
    stream["region"] = stream["region"] or region
    arn = f"arn:aws:logs:{stream['region']}:{account}:log-group:{stream['group']}:log-stream:{stream['stream']}"
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if not roles.allowed(access_key, action, arn):
            raise TaskStartError(
                "ResourceInitializationError: failed to validate logger args: execution role is not authorized to "
                f"perform: {action} on resource: {arn}"
            )
    with request_scope(account, stream["region"]):
        if not ecs._ensure_awslogs_stream(stream):
            raise TaskStartError(
                "ResourceInitializationError: failed to validate logger args: the specified log group does not "
                f"exist: {stream['group']}"
            )
    return stream | {"account": account}


def _forward(reader: int, stream: Mapping[str, Any] | None, running: Running) -> None:
    with os.fdopen(reader, errors="replace") as lines:
        for line in lines:
            if stream is not None:
                with request_scope(stream["account"], stream["region"]):
                    ecs._emit_awslogs_event(stream, line.rstrip("\n"))
                    if log_metrics.publish(line):
                        running.looks, running.looked = running.looks + 1, time.monotonic()


def _watch(task: dict[str, Any], index: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for a process to end; the end of an essential container is the end of its task."""
    code = process.wait()
    exit_code = code if code >= 0 else 128 - code
    arn = task["taskArn"]
    with resource_lock("ecs-task", arn):
        record = task["containers"][index]
        record["exitCode"], record["lastStatus"] = exit_code, "STOPPED"
    if task["_container_essentials"][index]:
        ecs._mark_task_stopped(arn, task, "Essential container in task exited", "EssentialContainerExited", exit_code)
        end(arn)
