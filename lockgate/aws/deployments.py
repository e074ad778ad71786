"""An environment's release stacks: reading what one pins, changing it, and saying how far the change has come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code
from lockgate.errors import BusyError, NotFoundError, RefusedError
from lockgate.release.comparison import Reality
from lockgate.release.parameters import MODE_PARAMETER, JudgedRelease, Release
from lockgate.release.stack import READY, Progress, Stack, continued, failure_of, progress_of_service

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

    def update(self, stack: Stack, release: Release, token: str, mode: str) -> None:
        """Ask CloudFormation to pin `release`, everything else as it is; the same token again changes nothing.

        mode: GRADUAL as the environment says, or AT_ONCE (also as AT_ONCE_AGAIN).

        Raises BusyError while another update runs, RefusedError when the stack cannot be updated.
        """
        stack.refuse_if_busy()
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
        names_of_alarms = self._resources(stack, ALARM)
        if not names_of_alarms:
            return ()
        pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNames=names_of_alarms)
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
                    # With these two ECS says that it ended while we looked, which is as good.
                    if code(error) not in ("ConflictException", "ServiceDeploymentNotFoundException"):
                        raise
            if running:
                return
        try:
            self._cloudformation.cancel_update_stack(StackName=stack.name)
        except ClientError as error:
            # With this one CloudFormation says that it is too late to cancel. The update then ends by itself.
            if code(error) != "ValidationError":
                raise

    def progress(self, stack: Stack, wanted: JudgedRelease, token: str) -> Progress:
        """`token`: what `update` was called with."""
        if stack.status.endswith("_IN_PROGRESS"):
            return Progress("IN_PROGRESS", stack.status)
        if stack.status == "UPDATE_ROLLBACK_FAILED" and self._continue_rollback(stack, token):
            return Progress("IN_PROGRESS", f"{stack.status}: {stack.reason}: its rollback is continued")
        failure = self._failure(stack, token)
        if failure or stack.status not in READY:
            return Progress("FAILED", f"{stack.status}: {failure or stack.reason}")
        if not stack.pins(wanted):
            return Progress("FAILED", f"{stack.status}: found {stack.release}, expected {vars(wanted)}", begun=False)
        return self._service(stack)

    def _continue_rollback(self, stack: Stack, token: str) -> bool:
        """Let CloudFormation try once more to go back; False where that was tried: then it needs a person."""
        again = continued(token)
        if any(event.get("ClientRequestToken") == again for event in self._events(stack)):
            return False
        self._cloudformation.continue_update_rollback(
            StackName=stack.name, RoleARN=self._role, ClientRequestToken=again
        )
        return True

    def _failure(self, stack: Stack, token: str) -> str:
        """Why the update with this token failed; "" when it did not, or ran nothing."""
        return "" if stack.status == "UPDATE_COMPLETE" else failure_of(token, self._events(stack))

    def _events(self, stack: Stack) -> Iterator[Mapping[str, Any]]:
        """What CloudFormation tells of a stack, newest first."""
        for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack.name):
            yield from page["StackEvents"]

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
        described = self._ecs.describe_services(cluster=self._cluster, services=services)["services"]
        active = [service for service in described if service["status"] == "ACTIVE"]
        return [entry for service in active for entry in service["deployments"] if entry["status"] == "PRIMARY"]

    def _resources(self, stack: Stack, kind: str) -> list[str]:
        """Physical ids of the stack's resources of a type."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.name)
        resources = [entry for page in pages for entry in page["StackResourceSummaries"]]
        return [entry["PhysicalResourceId"] for entry in resources if entry["ResourceType"] == kind]

    def _service(self, stack: Stack) -> Progress:
        services = self._resources(stack, "AWS::ECS::Service")
        primary = self._primary(services) if len(services) == 1 else []
        return progress_of_service(stack.name, services, primary, self._resources(stack, "AWS::ECS::TaskDefinition"))
