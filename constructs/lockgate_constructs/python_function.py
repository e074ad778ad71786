"""The one way to make a Lambda function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.failure_topic import NEVER_CALLED, alarm
from lockgate_constructs.log_group import LogGroup
from lockgate_constructs.permission import allow

# What Lambda needs of the role to connect a function to a VPC.
INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


class PythonFunction(Construct):
    """A function with a role, encrypted logs and an alarm of its own; the role starts with nothing but its logs.

    role_name, function_name: only where somebody outside must know them. Default: named by CloudFormation.
    network: where it reaches what is inside a VPC, as (VPC, security group). Default: none.
    logs: where functions that do one thing together log. Default: a group of its own.
    dead_letters: for a function that is invoked asynchronously; a queue encrypted with `key`. Default: none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: lambda_.Code,
        handler: str,
        description: str,
        environment: Mapping[str, str],
        key: kms.IKey,
        failures: sns.ITopic,
        timeout: Duration,
        memory_size: int = 512,
        function_name: str | None = None,
        role_name: str | None = None,
        dead_letters: sqs.IQueue | None = None,
        network: tuple[ec2.IVpc, ec2.ISecurityGroup] | None = None,
        logs: LogGroup | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        logs = logs or LogGroup(self, "Logs", key=key)
        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description=description,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        logs.grant_write(self.role)
        if dead_letters:
            allow(
                self.role,  # Lambda sends with the role
                ["kms:Decrypt", "kms:GenerateDataKey"],
                [key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"sqs.{Stack.of(self).region}.amazonaws.com"}},
            )
        if network:
            allow(
                self.role,
                INTERFACE_ACTIONS,
                ["*"],
                because="Lambda makes the network interfaces, whose ids nobody knows.",
            )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=function_name,
            description=description,
            code=code,
            handler=handler,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            environment=dict(environment),
            role=self.role,
            log_group=logs,
            logging_format=lambda_.LoggingFormat.JSON,
            timeout=timeout,
            memory_size=memory_size,
            dead_letter_queue=dead_letters,
            vpc=network[0] if network else None,
            security_groups=[network[1]] if network else None,
            # Without a public address it reaches what is inside, and nothing else.
            allow_public_subnet=True if network else None,
        )
        acknowledge(
            self.function,
            "Python 3.13 is the version that the handlers are tested with.",
            "AwsSolutions-L1",
        )
        alarm(
            self,
            "Failed",
            metric=self.function.metric_errors(period=Duration.minutes(1)),
            description=f"{description} It failed.",
            topic=failures,
            silence=NEVER_CALLED,
        )

    def allow(
        self,
        *actions: str,
        on: Sequence[str],
        because: str = "",
        conditions: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Let the function do `actions` on these resources; see permission.allow."""
        allow(self.role, actions, on, because=because, conditions=conditions)
