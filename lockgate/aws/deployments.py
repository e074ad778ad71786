"""An environment's release stacks: reading what one pins, changing it, and saying how far the change has come."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from lockgate import canonical, names
from lockgate.aws.clients import code
from lockgate.aws.evidence import CHUNK, fingerprint, read
from lockgate.errors import BusyError, NotFoundError, RefusedError
from lockgate.release.comparison import Reality, not_the_stacks
from lockgate.release.parameters import MODE_PARAMETER, PARAMETERS, Release, read_parameters

# On a release stack from its first promotion on: whatever changes it, the service is neither deleted nor replaced.
STACK_POLICY = {
    "Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": ["Update:Delete", "Update:Replace"],
            "Principal": "*",
            "Resource": "*",
            "Condition": {"StringEquals": {"ResourceType": ["AWS::ECS::Service"]}},
        },
    ]
}
ALARM = "AWS::CloudWatch::Alarm"
READY = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
LARGEST = 500 * 1024**2  # what fits on the temporary disk of the deploy function


@dataclass(frozen=True)
class Stack:
    """A release stack as CloudFormation describes it."""

    name: str
    status: str
    reason: str
    parameters: Mapping[str, str]
    capabilities: tuple[str, ...]

    @property
    def updating(self) -> bool:
        """On the way to what its parameters say, not rolling back from it."""
        return self.status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")

    @property
    def release(self) -> Release | None:
        return read_parameters(self.parameters)


@dataclass(frozen=True)
class Progress:
    """How far a deployment has come. SUCCEEDED: the stack is updated and the service runs what it pins.

    begun: False where the stack pins something else and shows no failure of this update: it may not have begun.
    """

    status: Literal["IN_PROGRESS", "SUCCEEDED", "FAILED"]
    reason: str
    begun: bool = True


class Deployments:
    """Release stacks of one environment; `role` is the narrow role that CloudFormation changes them with."""

    def __init__(self, cloudformation: Any, ecs: Any, environment: str, cluster: str, role: str) -> None:
        self._cloudformation = cloudformation
        self._ecs = ecs
        self._environment = environment
        self._cluster = cluster
        self._role = role

    def stack(self, model: str) -> Stack:
        """Raises NotFoundError when the environment has no release stack for the model."""
        name = names.release_stack(self._environment, model)
        try:
            answer = self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if code(error) != "ValidationError" or "does not exist" not in str(error):
                raise
            raise NotFoundError(
                f"stack {name}: found none, expected the release stack of {model}: "
                f"deploy the environment first (cdk deploy '{self._environment}/*')"
            ) from error
        return Stack(
            name=name,
            status=answer["StackStatus"],
            reason=answer.get("StackStatusReason", ""),
            parameters={entry["ParameterKey"]: entry["ParameterValue"] for entry in answer.get("Parameters", [])},
            capabilities=tuple(answer.get("Capabilities", [])),
        )

    @staticmethod
    def refuse_if_busy(stack: Stack) -> None:
        """Raises BusyError while another update runs, RefusedError when the stack cannot be updated."""
        if stack.status.endswith("_IN_PROGRESS"):
            raise BusyError(f"stack {stack.name}: {stack.status}: another update runs")
        if stack.status not in READY:
            raise RefusedError(
                f"stack {stack.name}: found {stack.status} ({stack.reason}), expected one of {', '.join(READY)}: "
                "continue its rollback, or delete it and deploy the environment again"
            )

    def update(self, stack: Stack, release: Release, token: str, mode: str) -> None:
        """Ask CloudFormation to pin `release`, everything else as it is; the same token again changes nothing.

        mode: GRADUAL as the environment says, or AT_ONCE (also as AT_ONCE_AGAIN).

        Raises BusyError while another update runs, RefusedError when the stack cannot be updated.
        """
        self.refuse_if_busy(stack)
        wanted = {**release.to_parameters(), MODE_PARAMETER: mode}
        missing = sorted(set(wanted) - set(stack.parameters))
        if missing:
            raise RefusedError(f"stack {stack.name}: has no parameters {', '.join(missing)}: deploy the environment")
        others = [name for name in stack.parameters if name not in wanted]
        try:
            self._cloudformation.update_stack(
                StackName=stack.name,
                UsePreviousTemplate=True,
                Parameters=[
                    *({"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()),
                    *({"ParameterKey": name, "UsePreviousValue": True} for name in others),
                ],
                Capabilities=list(stack.capabilities),
                RoleARN=self._role,
                ClientRequestToken=token,
                StackPolicyBody=json.dumps(STACK_POLICY),
            )
        except ClientError as error:
            if "_IN_PROGRESS state" in str(error):
                raise BusyError(f"stack {stack.name}: another update runs: {error}") from error
            if "No updates are to be performed" not in str(error):
                raise
            if stack.release != release:
                raise RefusedError(f"stack {stack.name}: no update to perform, yet it pins {stack.release}") from error

    def alarms(self, stack: Stack, cloudwatch: Any) -> tuple[str, ...]:
        """Names of the stack's alarms that are in ALARM; ECS would ignore them for a whole deployment."""
        found = self._resources(stack, ALARM)
        if not found:
            return ()
        pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNames=found)
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
        return tuple(sorted(alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"))

    def runs(self, stack: Stack, token: str) -> bool:
        """Whether the update that runs is this token's, and no `cdk deploy`."""
        if stack.status != "UPDATE_IN_PROGRESS":
            return False
        newest = self._cloudformation.describe_stack_events(StackName=stack.name)["StackEvents"][0]
        return bool(newest.get("ClientRequestToken") == token)

    def alarmed(self, stack: Stack, cloudwatch: Any, since: datetime) -> Iterator[str]:
        """Which of the stack's alarms went off since a moment, each with the numbers that CloudWatch gives."""
        for name in self._resources(stack, ALARM):
            pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
                AlarmName=name, HistoryItemType="StateUpdate", StartDate=since
            )
            for item in (item for page in pages for item in page["AlarmHistoryItems"]):
                new = json.loads(item["HistoryData"])["newState"]
                if new["stateValue"] == "ALARM":
                    yield f"{name}: {new['stateReason']}"

    def stop(self, stack: Stack) -> None:
        """Take back an update that runs: ECS ends its deployment and goes back, or CloudFormation does if none runs."""
        for service in self._resources(stack, "AWS::ECS::Service"):
            running = self._ecs.list_service_deployments(
                cluster=self._cluster, service=service, status=["PENDING", "IN_PROGRESS"]
            )["serviceDeployments"]
            for deployment in running:
                arn = deployment["serviceDeploymentArn"]
                try:
                    self._ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
                except ClientError as error:
                    if code(error) not in ("ConflictException", "ServiceDeploymentNotFoundException"):
                        raise  # it ended while we looked
            if running:
                return
        try:
            self._cloudformation.cancel_update_stack(StackName=stack.name)
        except ClientError as error:
            if code(error) != "ValidationError":
                raise  # it is past the point where it could be cancelled: it ends by itself

    def progress(self, stack: Stack, wanted: Mapping[str, str], token: str) -> Progress:
        """`wanted`: the release's fields but model_version_id; `token`: what `update` was called with."""
        if stack.status.endswith("_IN_PROGRESS"):
            return Progress("IN_PROGRESS", stack.status)
        if stack.status == "UPDATE_ROLLBACK_FAILED" and self._continue_rollback(stack, token):
            return Progress("IN_PROGRESS", f"{stack.status}: {stack.reason}: its rollback is continued")
        failure = self._failure(stack, token)
        if failure or stack.status not in READY:
            return Progress("FAILED", f"{stack.status}: {failure or stack.reason}")
        if not pins(stack, wanted):
            return Progress("FAILED", f"{stack.status}: found {stack.release}, expected {dict(wanted)}", begun=False)
        return self._service(stack)

    def _continue_rollback(self, stack: Stack, token: str) -> bool:
        """Let CloudFormation try once more to go back; False where that was tried: then it needs a person."""
        again = _continued(token)
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack.name)
        if any(event.get("ClientRequestToken") == again for page in pages for event in page["StackEvents"]):
            return False
        self._cloudformation.continue_update_rollback(
            StackName=stack.name, RoleARN=self._role, ClientRequestToken=again
        )
        return True

    def _failure(self, stack: Stack, token: str) -> str:
        """Why the update with this token failed: its first failed resource; "" when it did not, or ran nothing."""
        if stack.status == "UPDATE_COMPLETE":
            return ""
        failures: list[str] = []
        ours = False
        for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack.name):
            for event in page["StackEvents"]:  # newest first
                if event.get("ClientRequestToken") not in (token, _continued(token)):
                    return (failures[-1] if failures else "rolled back") if ours else ""
                ours = True
                reason = event.get("ResourceStatusReason", "")
                if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
                    failures.append(f"{event['LogicalResourceId']}: {reason}")
        return (failures[-1] if failures else "rolled back") if ours else ""

    def reality(self, model: str) -> Reality:
        """What the environment serves of a model. Raises NotFoundError when it has no release stack for it."""
        stack = self.stack(model)
        definitions = self._resources(stack, "AWS::ECS::TaskDefinition")
        services = self._resources(stack, "AWS::ECS::Service")
        running = [entry["taskDefinition"] for entry in self._primary(services)] if services else []
        return Reality(
            release=stack.release,
            status=stack.status,
            definition=definitions[0] if definitions else None,
            running=running[0] if running else None,
        )

    def _primary(self, services: list[str]) -> list[dict[str, Any]]:
        """The primary deployments of services, of those that were not deleted."""
        found = self._ecs.describe_services(cluster=self._cluster, services=services)["services"]
        active = [service for service in found if service["status"] == "ACTIVE"]
        return [entry for service in active for entry in service["deployments"] if entry["status"] == "PRIMARY"]

    def _resources(self, stack: Stack, kind: str) -> list[str]:
        """Physical ids of the stack's resources of a type."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.name)
        resources = [entry for page in pages for entry in page["StackResourceSummaries"]]
        return [entry["PhysicalResourceId"] for entry in resources if entry["ResourceType"] == kind]

    def _service(self, stack: Stack) -> Progress:
        """Whether the stack's ECS service runs the stack's tasks, as many as it is asked for."""
        services = self._resources(stack, "AWS::ECS::Service")
        if len(services) != 1:
            return Progress("FAILED", f"stack {stack.name}: found {len(services)} ECS services, expected one")
        primary = self._primary(services)
        if len(primary) != 1:
            return Progress("FAILED", f"service {services[0]}: found {len(primary)} primary deployments, expected one")
        definitions, running = self._resources(stack, "AWS::ECS::TaskDefinition"), primary[0]["taskDefinition"]
        if definitions != [running]:
            return Progress("FAILED", not_the_stacks(", ".join(definitions), running))
        rollout, running, desired = (primary[0].get(key) for key in ("rolloutState", "runningCount", "desiredCount"))
        state = f"rollout {rollout}, {running} of {desired} tasks run"
        if rollout == "FAILED":
            return Progress("FAILED", f"{state}: {primary[0].get('rolloutStateReason', '')}")
        done = rollout == "COMPLETED" and desired and running == desired
        return Progress("SUCCEEDED" if done else "IN_PROGRESS", state)


def _continued(token: str) -> str:
    """The token under which the rollback of this token's update is continued: the same each time, 128 at most."""
    return f"continue-{canonical.sha256(token.encode())[:32]}"


def pins(stack: Stack, wanted: Mapping[str, str]) -> bool:
    """Whether the stack's parameters are those of the release, whichever copy of the model data it uses."""
    return all(stack.parameters.get(PARAMETERS[name]) == value for name, value in wanted.items())


def copy_model(s3: Any, source: Mapping[str, str], bucket: str, model: str, sha256: str) -> str:
    """Copy one S3 version of model data into the environment's bucket; the version id of the copy.

    source: {bucket, key, version_id}. The bytes go to a temporary file while they are hashed, and only bytes with the
    right SHA-256 become visible. A copy that is there is read again. Raises RefusedError for other bytes, more than
    LARGEST, a source that is gone, or a bucket without versions.
    """
    key = names.released_model_key(model, sha256)
    if fingerprint(s3, bucket, key) is None:
        with tempfile.TemporaryFile() as file:
            try:
                found = s3.get_object(Bucket=source["bucket"], Key=source["key"], VersionId=source["version_id"])
            except ClientError as error:
                if code(error) not in ("NoSuchKey", "NoSuchVersion"):
                    raise
                raise RefusedError(f"model data: {dict(source)} is gone: {error}") from error
            if found["ContentLength"] > LARGEST:
                raise RefusedError(f"model data: found {found['ContentLength']} bytes, expected at most {LARGEST}")
            digest = canonical.sha256(_written(found["Body"].iter_chunks(CHUNK), file))
            _refuse_other(digest, sha256, f"s3://{source['bucket']}/{source['key']}")
            file.seek(0)
            _put(s3, bucket, key, file, sha256)
    copy = fingerprint(s3, bucket, key)
    if copy is None or not copy.version_id:
        raise RefusedError(
            f"s3://{bucket}/{key}: found {copy}, expected a version of the copy: is the bucket versioned?"
        )
    _refuse_other(copy.sha256, sha256, f"s3://{bucket}/{key}")
    return copy.version_id


def copy_replay(s3: Any, source: Mapping[str, str], bucket: str, model: str, sha256: str) -> None:
    """Copy the rows that evaluation recorded into the environment's bucket, under their digest; once there, it stays.

    source: {bucket, key}. Raises RefusedError for other bytes, or a source that is gone.
    """
    key = names.replay_key(model, sha256)
    if fingerprint(s3, bucket, key) is not None:
        return
    uri = f"s3://{source['bucket']}/{source['key']}"
    rows = read(s3, source["bucket"], uri)
    if rows is None:
        raise RefusedError(f"recorded rows: {uri} is gone")
    _refuse_other(canonical.sha256(rows), sha256, uri, "recorded rows")
    _put(s3, bucket, key, rows, sha256)


def _written(chunks: Any, file: Any) -> Any:
    for chunk in chunks:
        file.write(chunk)
        yield chunk


def _put(s3: Any, bucket: str, key: str, body: Any, sha256: str) -> None:
    checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", ChecksumSHA256=checksum)
    except ClientError as error:
        if code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise


def _refuse_other(found: str, expected: str, where: str, what: str = "model data") -> None:
    if found != expected:
        raise RefusedError(f"{what}: {where}: SHA-256 found {found}, expected {expected}: it was replaced")
