"""What makes the functions of the promotion stack, and what they share: ledger, artifacts, and where failures go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate_constructs.dead_letters import DeadLetters
from lockgate_constructs.encryption_key import EncryptionKey
from lockgate_constructs.private_bucket import PrivateBucket
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.watched_rule import WatchedRule

from ..artifacts import ArtifactsStack

COUNTED = "SageMaker counts the versions in a model's own group."
LOOK_MINUTES = 5
KEYS = "Objects are named when they are written: a record, an execution."


class FunctionFactory:
    """Each function has a role of its own, and only what its docstring in lambdas/ asks for."""

    def __init__(
        self, stack: Stack, *, configuration: Configuration, artifacts: ArtifactsStack, code: lambda_.Code
    ) -> None:
        self.stack = stack
        self.configuration = configuration
        self.artifacts = artifacts
        self._code = code
        self.models = [model.name for model in configuration.models]
        self.packages = [self.sagemaker("model-package", f"{names.package_group(names.ANY)}/*")]
        self._clock = WatchedRule(
            stack,
            "Regularly",
            description="Looks for what events lost, and for what was decided or happened while nobody could say so.",
            dead_letters=artifacts.dead_letters,
            schedule=events.Schedule.rate(Duration.minutes(LOOK_MINUTES)),
        )
        self.machine_arn = stack.format_arn(
            service="states",
            resource="stateMachine",
            resource_name=names.PROMOTION_STATE_MACHINE,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def function(
        self,
        construct_id: str,
        file: str,
        description: str,
        environment: Mapping[str, str],
        *,
        ledger: Literal["", "reads", "appends"] = "",
        function_name: str | None = None,
        role_name: str | None = None,
        minutes: int = 1,
        dead_letters: DeadLetters | None = None,
    ) -> PythonFunction:
        """The handler of lambdas/<file>.py.

        ledger: what it does with the ledger, whose name it is then told as LEDGER_BUCKET. One that appends has the role
        name that the ledger's bucket policy knows, which is lockgate-<file> by default.
        """
        chain, key = self.artifacts.ledger, self.artifacts.records_key
        if ledger == "appends":
            role_name = role_name or f"lockgate-{file.replace('_', '-')}"
        made = PythonFunction(
            self.stack,
            construct_id,
            code=self._code,
            handler=f"lambdas.{file}.handler",
            description=description,
            environment={**({"LEDGER_BUCKET": chain.bucket_name} if ledger else {}), **environment},
            key=self.artifacts.records_key,
            failures=self.artifacts.failures,
            timeout=Duration.minutes(minutes),
            function_name=function_name,
            role_name=role_name,
            dead_letters=dead_letters,
        )
        if ledger:
            self.allow_read(made, (chain,), key)
        if ledger == "appends":
            made.allow("s3:PutObject", on=[chain.objects("*")], because=KEYS)
            made.allow("kms:GenerateDataKey", on=[key.key_arn])
        return made

    def allow_read(self, function: PythonFunction, buckets: Sequence[PrivateBucket], key: EncryptionKey) -> None:
        function.allow("s3:GetObject", on=[bucket.objects("*") for bucket in buckets], because=KEYS)
        function.allow("s3:ListBucket", on=[bucket.known_arn for bucket in buckets])
        function.allow("kms:Decrypt", on=[key.key_arn])

    def let_note_champions(self, function: PythonFunction) -> None:
        data = self.artifacts.data
        champions = [data.objects(f"{names.champion_prefix(names.ANY)}*")]
        function.allow("s3:PutObject", on=champions, because=KEYS)
        function.allow("kms:GenerateDataKey", on=[self.artifacts.artifacts_key.key_arn])

    def let_count(self, function: PythonFunction) -> None:
        function.allow(
            "cloudwatch:PutMetricData",
            on=["*"],
            because="A metric has no resource to name; its namespace is fixed.",
            conditions={"StringEquals": {"cloudwatch:namespace": names.METRIC_NAMESPACE}},
        )

    def regularly(self, function: PythonFunction, event: Mapping[str, str] | None = None) -> None:
        """Let the stack's clock call a function: what an event lost, or a function that died, is looked for."""
        self._clock.calls(function.function, event)

    def sagemaker(self, resource: str, name: str) -> str:
        return self.stack.format_arn(service="sagemaker", resource=resource, resource_name=name)
