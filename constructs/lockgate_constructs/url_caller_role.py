"""A role for persons that can do one thing: call functions through their URLs, under their own name."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct


def with_url(function: lambda_.Function) -> lambda_.Function:
    """Give a function a URL, through which it learns from AWS who signed a call."""
    function.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
    return function


class UrlCallerRole(iam.Role):
    """For users of this account; it may call the URLs of `functions` and do nothing else.

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
        for statement in url_rights([function.function_arn for function in functions]):
            self.add_to_policy(statement)


class UrlCallerPolicy(iam.ManagedPolicy):
    """The same rights for a permission set of Identity Center, which attaches this policy by its name."""

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, description: str, functions: Sequence[lambda_.Function]
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            managed_policy_name=name,
            description=description,
            statements=url_rights([function.function_arn for function in functions]),
        )


def url_rights(arns: Sequence[str]) -> list[iam.PolicyStatement]:
    """What calling functions through their URLs takes, and no other way of calling them."""
    return [
        iam.PolicyStatement(actions=["lambda:GetFunctionUrlConfig", "lambda:InvokeFunctionUrl"], resources=arns),
        iam.PolicyStatement(
            actions=["lambda:InvokeFunction"],
            resources=arns,
            # An invocation past the URL would carry whatever identity its sender writes into the event.
            conditions={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        ),
    ]
