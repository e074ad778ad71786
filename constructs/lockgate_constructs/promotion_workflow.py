"""The workflow that carries a registered version from environment to environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from lockgate.configuration.rollout import LONGEST_DEADLINE_MINUTES
from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.failure_topic import NEVER_RUN, alarm
from lockgate_constructs.log_group import LogGroup
from lockgate_constructs.permission import allow

State = dict[str, Any]

# A status every 15 s for two minutes, every 30 s for an hour, then every five minutes, since an execution may have
# 25,000 events and a status makes nine. At the deadline, which the deploy function says at the start, the deployment is
# stopped; by the last poll, half an hour of 30 s later, it has gone back, or it needs a person.
POLL_SECONDS = "{% $polls < 8 ? 15 : $polls < 124 or $polls >= $polls_to_deadline ? 30 : 300 %}"
# A deploy function of an older deploy does not say it: the environment's own schedule stops what hangs there.
POLLS_TO_DEADLINE = (
    "{% ($said := $states.result.Payload.deadline_minutes;"
    f" $minutes := $exists($said) ? $said : {LONGEST_DEADLINE_MINUTES};"
    " $min([4 * $minutes, 8 + 2 * ($minutes - 2), 124 + $floor(($minutes - 60) / 5)])) %}"
)
POLLS_AFTER_DEADLINE = 60
APPROVAL_SECONDS = 7 * 24 * 3600
WHOLE_SECONDS = 30 * 24 * 3600
REFUSALS = ["RefusedError", "NotFoundError", "ConfigError", "EvidenceError", "LedgerError"]
# In this order: what a handler refuses stays refused; a scan takes up to half an hour, another update of the stack as
# long as its canary bakes (four hours are waited for); AWS hiccups do not.
RETRY: list[State] = [
    {"ErrorEquals": REFUSALS, "MaxAttempts": 0},
    {"ErrorEquals": ["PendingError"], "IntervalSeconds": 60, "BackoffRate": 1, "MaxAttempts": 60},
    {"ErrorEquals": ["BusyError"], "IntervalSeconds": 15, "BackoffRate": 1, "MaxAttempts": 960},
    {
        "ErrorEquals": ["States.TaskFailed"],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 4,
        "JitterStrategy": "FULL",
    },
]
# A Lambda's cause is JSON with its message and a stack trace; another error's cause is plain text.
_REASON = (
    "{% $states.errorOutput.Error & ': ' & ($contains($states.errorOutput.Cause, '\"errorMessage\"')"
    " ? $parse($states.errorOutput.Cause).errorMessage : $states.errorOutput.Cause) %}"
)

_INPUT = "$states.context.Execution.Input"
_BREAK_GLASS = f"$exists({_INPUT}.break_glass)"


@dataclass(frozen=True)
class Destination:
    """An environment on the way: what deploys there, and the role to call it with."""

    environment: str
    deploy_function_arn: str
    promote_role_arn: str


class PromotionWorkflow(Construct):
    """Per environment: gate, approvals if the gate asks for them, deploy, record. Ends at the first refusal.

    Input: {"model", "version", "package_arn"}; of a break-glass also {"environment", "break_glass" (its record)}: it
    goes to that environment only, where the gate looks at the record before it lets go of the policy. A refusal ends
    well (it is a record); a failed deployment fails.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        state_machine_name: str,
        role_name: str,
        destinations: Sequence[Destination],
        gate_arn: str,
        controller_arn: str,
        key: kms.IKey,
        failures: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description="Walks a version through the environments.",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
        )
        allow(role, ["lambda:InvokeFunction"], [gate_arn, controller_arn])
        allow(role, ["sts:AssumeRole"], [destination.promote_role_arn for destination in destinations])
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=state_machine_name,
            role=role,
            definition_body=sfn.DefinitionBody.from_string(
                Stack.of(self).to_json_string(
                    definition(
                        destinations,
                        gate_arn=gate_arn,
                        controller_arn=controller_arn,
                    )
                )
            ),
            logs=sfn.LogOptions(
                destination=LogGroup(self, "Logs", key=key), level=sfn.LogLevel.ALL, include_execution_data=False
            ),
            tracing_enabled=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(
            role,
            "Delivery of the workflow's logs and traces: these actions have no resource to name.",
            "AwsSolutions-IAM5[Resource::*]",
        )
        for name, metric in (
            ("Failed", self.state_machine.metric_failed(period=Duration.minutes(1))),
            ("TimedOut", self.state_machine.metric_timed_out(period=Duration.minutes(1))),
            ("Aborted", self.state_machine.metric_aborted(period=Duration.minutes(1))),
        ):
            alarm(
                self,
                f"{name}Alarm",
                metric=metric,
                description=f"A promotion did not reach its end ({name}).",
                topic=failures,
                silence=NEVER_RUN,
            )


def definition(destinations: Sequence[Destination], *, gate_arn: str, controller_arn: str) -> State:
    """The workflow in Amazon States Language (JSONata)."""
    states: dict[str, State] = {}
    for i, destination in enumerate(destinations):
        following = f"Beyond {destination.environment}" if i + 1 < len(destinations) else "Released"
        states |= _states_of(destination, following, gate_arn, controller_arn)
        if i + 1 < len(destinations):
            released = {"Condition": f"{{% {_BREAK_GLASS} %}}", "Next": "Released"}
            after = f"Gate {destinations[i + 1].environment}"
            states[following] = {"Type": "Choice", "Choices": [released], "Default": after}
    return {
        "Comment": "Carry a model version from environment to environment.",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": WHOLE_SECONDS,
        "StartAt": "Begin",
        "States": {
            "Begin": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": f"{{% {_BREAK_GLASS} and {_INPUT}.environment = '{destination.environment}' %}}",
                        "Next": f"Gate {destination.environment}",
                    }
                    for destination in destinations
                ],
                "Default": f"Gate {destinations[0].environment}",
            },
            **states,
            "Released": {"Type": "Succeed"},
            "Refused": {"Type": "Succeed", "Comment": "The refusal is a record in the ledger."},
            "ApprovalExpired": {
                "Type": "Fail",
                "Error": "ApprovalExpired",
                "Cause": "Nobody decided in time; `lockgate promote` asks again.",
            },
            "DeploymentFailed": {
                "Type": "Fail",
                "Error": "DeploymentFailed",
                "Cause": "See the deployment's record in the ledger; `lockgate promote` tries again.",
            },
        },
    }


def _states_of(destination: Destination, following: str, gate_arn: str, controller_arn: str) -> dict[str, State]:
    environment = destination.environment
    version = {"model": _input("model"), "version": _input("version")}

    def deploy(action: str) -> dict[str, Any]:
        payload = {
            "action": action,
            "model": _input("model"),
            "release": "{% $gate.release %}",
            "source": "{% $gate.source %}",
            "token": f"{{% $states.context.Execution.Name & '-{environment}' %}}",
            "approvals": "{% $approvals %}",
        }
        return {
            **_call(destination.deploy_function_arn, payload),
            "Credentials": {"RoleArn": destination.promote_role_arn},
            "Catch": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "Assign": {"deployment": {"reason": _REASON}},
                    "Next": f"RecordFailure {environment}",
                }
            ],
        }

    def record(outcome: str) -> dict[str, Any]:
        payload = {
            "action": "record",
            **version,
            "environment": environment,
            "execution": "{% $states.context.Execution.Name %}",
            "outcome": outcome,
            "release": "{% $gate.release %}",
            "deployment": "{% $deployment %}",
        }
        return _call(controller_arn, payload)

    return {
        f"Gate {environment}": {
            **_call(
                gate_arn,
                {
                    **version,
                    "package_arn": _input("package_arn"),
                    "environment": environment,
                    "break_glass": f"{{% {_BREAK_GLASS} ? {_INPUT}.break_glass : '' %}}",
                },
            ),
            "Assign": {"gate": "{% $states.result.Payload %}", "polls": 0, "approvals": ""},
            "Next": f"Passed {environment}",
        },
        f"Passed {environment}": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": "{% $gate.outcome = 'passed' and $gate.approvals > 0 %}",
                    "Next": f"Approval {environment}",
                },
                {"Condition": "{% $gate.outcome = 'passed' %}", "Next": f"Deploy {environment}"},
            ],
            "Default": "Refused",
        },
        f"Approval {environment}": {
            **_call(
                controller_arn,
                {
                    "action": "request-approval",
                    **version,
                    "environment": environment,
                    "verdict_id": "{% $gate.verdict_id %}",
                    "execution": "{% $states.context.Execution.Name %}",
                    "task_token": "{% $states.context.Task.Token %}",
                },
                resource="arn:aws:states:::lambda:invoke.waitForTaskToken",
            ),
            "TimeoutSeconds": APPROVAL_SECONDS,
            "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "ApprovalExpired"}],
            "Next": f"Decision {environment}",
        },
        # Whoever holds the token may have woken the workflow, with any words: what was decided stands in the ledger.
        f"Decision {environment}": {
            **_call(
                controller_arn,
                {
                    "action": "decision",
                    **version,
                    "environment": environment,
                    "verdict_id": "{% $gate.verdict_id %}",
                },
            ),
            "Assign": {
                "decision": "{% $states.result.Payload.decision %}",
                "approvals": "{% $states.result.Payload.approvals %}",
            },
            "Next": f"Approved {environment}",
        },
        f"Approved {environment}": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $decision = 'approve' %}", "Next": f"Deploy {environment}"}],
            "Default": "Refused",
        },
        f"Deploy {environment}": {
            **deploy("start"),
            "Assign": {"polls_to_deadline": POLLS_TO_DEADLINE},
            "Next": f"Wait {environment}",
        },
        f"Wait {environment}": {"Type": "Wait", "Seconds": POLL_SECONDS, "Next": f"Status {environment}"},
        f"Status {environment}": {
            **deploy("status"),
            "Assign": {"deployment": "{% $states.result.Payload %}", "polls": "{% $polls + 1 %}"},
            "Next": f"Deployed {environment}",
        },
        f"Deployed {environment}": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $deployment.status = 'SUCCEEDED' %}", "Next": f"Record {environment}"},
                {
                    "Condition": (
                        "{% $deployment.status = 'FAILED'"
                        f" or $polls >= $polls_to_deadline + {POLLS_AFTER_DEADLINE} %}}"
                    ),
                    "Next": f"RecordFailure {environment}",
                },
                {"Condition": "{% $polls = $polls_to_deadline %}", "Next": f"Stop {environment}"},
            ],
            "Default": f"Wait {environment}",
        },
        f"Stop {environment}": {**deploy("stop"), "Next": f"Wait {environment}"},
        f"Record {environment}": {**record("succeeded"), "Next": following},
        f"RecordFailure {environment}": {**record("failed"), "Next": "DeploymentFailed"},
    }


def _input(name: str) -> str:
    return f"{{% {_INPUT}.{name} %}}"


def _call(function_arn: str, payload: dict[str, Any], resource: str = "arn:aws:states:::lambda:invoke") -> State:
    return {
        "Type": "Task",
        "Resource": resource,
        "Arguments": {"FunctionName": function_arn, "Payload": payload},
        "Retry": RETRY,
    }
