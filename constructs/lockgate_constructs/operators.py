"""Who may take an environment back to its previous release, and the door they go through."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from lockgate import names
from lockgate.configuration.environment import Environment
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.url_caller_role import UrlCallerRole, with_url


class Operators(Construct):
    """A role of the environment's own account, and a function that only asks `deploy` for what operators may ask.

    Nobody of this account calls `deploy` himself: it would take any release, and the word of its caller for who he is.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        code: lambda_.Code,
        deploy: lambda_.IFunction,
        key: kms.IKey,
        failures: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        door = PythonFunction(
            self,
            "Rollback",
            code=code,
            handler="lambdas.rollback.handler",
            description="Takes this environment back to its previous release.",
            environment={
                "ENVIRONMENT": environment.name,
                "ACCOUNT": environment.account,
                "DEPLOY_FUNCTION": deploy.function_name,
            },
            key=key,
            failures=failures,
            timeout=Duration.minutes(2),
            function_name=names.rollback_function(environment.name),
        )
        door.allow("lambda:InvokeFunction", on=[deploy.function_arn])
        UrlCallerRole(
            self,
            "Operator",
            role_name=names.operator_role(environment.name),
            description="Rolls releases back and restores lost ones; a session bears its user's own name.",
            functions=[with_url(door.function)],
        )
