"""What persons decide, through functions that hear who signed."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_lambda as lambda_

from lockgate import names
from lockgate.configuration.persons import is_permission_set
from lockgate_constructs.failure_topic import NEVER_RUN, alarm
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.url_caller_role import UrlCallerPolicy, UrlCallerRole, with_url

from .factory import COUNTED, KEYS, FunctionFactory


def hear_persons(factory: FunctionFactory) -> None:
    """The only way for a person to be heard: URLs that hand over who signed, for roles that only call them.

    One URL hears decisions. Breaking the glass has a function, a URL and a role of its own: who approves need not be
    able to pass the gate, and each call of it is an alarm.
    """
    environments = factory.configuration.environments
    _callers(
        factory.stack,
        names.APPROVER_ROLE,
        [role for environment in environments for role in environment.approvers],
        "Approves, rejects, waives, records holdouts and acknowledges; a session bears its user's own name.",
        with_url(_decide(factory).function),
    )
    _callers(
        factory.stack,
        names.BREAK_GLASS_ROLE,
        [role for environment in environments for role in environment.break_glass],
        "Breaks the glass; a session bears its user's own name.",
        with_url(_break_glass(factory).function),
    )


def _decide(factory: FunctionFactory) -> PythonFunction:
    """What a person decides wakes the workflow; the clock wakes those that the function died before waking."""
    artifacts = factory.artifacts
    decide = factory.function(
        "Decide",
        "decide",
        "Hears what persons decide, and whether stacks may be deployed.",
        {"DATA_BUCKET": artifacts.data.bucket_name, "STATE_MACHINE_ARN": factory.machine_arn},
        ledger="appends",
        function_name=names.DECIDE_FUNCTION,
        minutes=5,
        dead_letters=artifacts.dead_letters,
    )
    machine = [factory.machine_arn]
    decide.allow("states:ListExecutions", "states:SendTaskSuccess", "states:StartExecution", on=machine)
    decide.allow("sagemaker:UpdateModelPackage", on=factory.packages, because=COUNTED)
    published = [artifacts.data.objects("snapshots/*/manifest.json"), artifacts.data.objects("identities/*")]
    decide.allow("s3:GetObject", on=published, because=KEYS)
    decide.allow("s3:ListBucket", on=[artifacts.data.known_arn])
    chosen = [artifacts.data.objects(f"{names.chosen_prefix(names.ANY)}*")]
    decide.allow("s3:PutObject", on=chosen, because=KEYS)
    decide.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.artifacts_key.key_arn])
    factory.regularly(decide, {"action": "wake"})
    return decide


def _break_glass(factory: FunctionFactory) -> PythonFunction:
    artifacts = factory.artifacts
    glass = factory.function(
        "PastTheGate",
        "break_glass",
        "Puts a version into an environment past its gate, because a person says so.",
        {"STATE_MACHINE_ARN": factory.machine_arn, "TOPIC_ARN": artifacts.failures.topic_arn},
        ledger="appends",
        function_name=names.BREAK_GLASS_FUNCTION,
        role_name=names.BREAK_GLASS_WRITER_ROLE,
    )
    glass.allow("sagemaker:DescribeModelPackage", on=factory.packages, because=COUNTED)
    glass.allow("states:StartExecution", on=[factory.machine_arn])
    glass.allow("sns:Publish", on=[artifacts.failures.topic_arn])
    glass.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.records_key.key_arn])  # of the topic
    alarm(
        factory.stack,
        "GlassBroken",
        metric=glass.function.metric_invocations(period=Duration.minutes(1)),
        description="Somebody breaks the glass, or tries: see `lockgate status`.",
        topic=artifacts.failures,
        silence=NEVER_RUN,
    )
    return glass


def _callers(stack: Stack, name: str, roles: Sequence[str], description: str, function: lambda_.Function) -> None:
    """A role for each of `roles`; for permission sets, whose roles are not ours, a policy called `name`."""
    for role in dict.fromkeys(roles):
        if is_permission_set(role):
            continue
        made = role.removeprefix("lockgate-").title().replace("-", "")  # Approver, or ProdApprover
        UrlCallerRole(stack, made, role_name=role, description=description, functions=[function])
    if any(is_permission_set(role) for role in roles):
        UrlCallerPolicy(
            stack,
            f"{name.removeprefix('lockgate-').title().replace('-', '')}Policy",
            name=name,
            description=description,
            functions=[function],
        )
