"""A role for persons that can do one thing: call functions through their URLs, under their own name."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lockgate_constructs.permission import allow


class UrlCallerRole(iam.Role):
    """For users of this account; adds a URL to each function, which learns from AWS who signed a call.

    The session's name must be the user's own, so that nobody signs with another's.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role_name: str,
        description: str,
        functions: Sequence[lambda_.Function],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            role_name=role_name,
            description=description,
            assumed_by=iam.AccountRootPrincipal().with_conditions(
                {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}
            ),
        )
        for function in functions:
            function.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
        arns = [function.function_arn for function in functions]
        allow(self, ["lambda:GetFunctionUrlConfig", "lambda:InvokeFunctionUrl"], arns)
        allow(
            self,
            ["lambda:InvokeFunction"],
            arns,
            # An invocation past the URL would carry whatever identity its sender writes into the event.
            conditions={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        )
