"""A role for persons that can do one thing: call one function through its URL, under their own name."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lockgate_constructs.permission import allow


class UrlCallerRole(iam.Role):
    """For users of this account; adds the URL to `function`, which learns from AWS who signed a call.

    The session's name must be the user's own, so that nobody signs with another's.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, role_name: str, description: str, function: lambda_.Function
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
        function.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
        allow(self, ["lambda:GetFunctionUrlConfig", "lambda:InvokeFunctionUrl"], [function.function_arn])
        allow(
            self,
            ["lambda:InvokeFunction"],
            [function.function_arn],
            # An invocation past the URL would carry whatever identity its sender writes into the event.
            conditions={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        )
