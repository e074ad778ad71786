"""What persons decide: each through a function of its own that hears who signed."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_lambda as lambda_

from lockgate import names
from lockgate.configuration.persons import is_permission_set
from lockgate_constructs.failure_topic import alarm
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.url_caller_role import UrlCallerPolicy, UrlCallerRole, with_url
from stacks.promotion.factory import COUNTED, KEYS, FunctionFactory

WAKE_MINUTES = 5


def hear_persons(factory: FunctionFactory) -> None:
    """The only way for a person to be heard: URLs that hand over who signed, for roles that only call them."""
    environments = factory.configuration.environments
    acknowledge = factory.function(
        "Acknowledge",
        "acknowledge",
        "Closes a break-glass, because another person looked at it.",
        {},
        ledger="appends",
        function_name=names.ACKNOWLEDGE_FUNCTION,
    )
    deciding = (_approval(factory), _waive(factory), _holdout(factory), _infrastructure(factory), acknowledge)
    urls = [with_url(each.function) for each in deciding]
    _callers(
        factory.stack,
        names.APPROVER_ROLE,
        [role for environment in environments for role in environment.approvers],
        "Approves, rejects, waives, records holdouts and acknowledges; a session bears its user's own name.",
        urls,
    )
    _callers(
        factory.stack,
        names.BREAK_GLASS_ROLE,
        [role for environment in environments for role in environment.break_glass],
        "Breaks the glass; a session bears its user's own name.",
        [with_url(_break_glass(factory).function)],
    )


def _approval(factory: FunctionFactory) -> PythonFunction:
    """What a person decides wakes the workflow; the schedule wakes those that the function died before waking."""
    dead_letters = factory.artifacts.dead_letters
    approval = factory.function(
        "Approval",
        "approval",
        "Takes a person's decision about a release.",
        {"STATE_MACHINE_ARN": factory.machine_arn},
        ledger="appends",
        function_name=names.APPROVAL_FUNCTION,
        dead_letters=dead_letters,
    )
    approval.allow("states:ListExecutions", "states:SendTaskSuccess", on=[factory.machine_arn])
    factory.regularly(
        "WakeRegularly",
        approval,
        description="Looks for workflows that wait for what is decided.",
        minutes=WAKE_MINUTES,
        dead_letters=dead_letters,
        event={"action": "wake"},
    )
    return approval


def _waive(factory: FunctionFactory) -> PythonFunction:
    waive = factory.function(
        "Waive",
        "waive",
        "Lets one rule go for one version, because a person says so.",
        {"STATE_MACHINE_ARN": factory.machine_arn},
        ledger="appends",
        function_name=names.WAIVE_FUNCTION,
    )
    waive.allow("sagemaker:UpdateModelPackage", on=factory.packages, because=COUNTED)
    waive.allow("states:StartExecution", on=[factory.machine_arn])
    return waive


def _holdout(factory: FunctionFactory) -> PythonFunction:
    artifacts = factory.artifacts
    holdout = factory.function(
        "Holdout",
        "holdout",
        "Records a fresh holdout that shares no row with any before.",
        {"DATA_BUCKET": artifacts.data.bucket_name},
        ledger="appends",
        function_name=names.HOLDOUT_FUNCTION,
        minutes=5,
    )
    read = [artifacts.data.objects("snapshots/*/manifest.json"), artifacts.data.objects("identities/*")]
    holdout.allow("s3:GetObject", on=read, because=KEYS)
    holdout.allow("s3:ListBucket", on=[artifacts.data.known_arn])
    holdout.allow("kms:Decrypt", on=[artifacts.artifacts_key.key_arn])
    return holdout


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
    )
    return glass


def _infrastructure(factory: FunctionFactory) -> PythonFunction:
    return factory.function(
        "Infrastructure",
        "infrastructure",
        "Says whether a workflow run may deploy stacks, and takes persons' decisions about it.",
        {},
        ledger="appends",
        function_name=names.INFRASTRUCTURE_FUNCTION,
    )


def _callers(
    stack: Stack, name: str, roles: Sequence[str], description: str, functions: Sequence[lambda_.Function]
) -> None:
    """A role for each of `roles`; for permission sets, whose roles are not ours, a policy called `name`."""
    for role in dict.fromkeys(roles):
        if is_permission_set(role):
            continue
        made = role.removeprefix("lockgate-").title().replace("-", "")  # Approver, or ProdApprover
        UrlCallerRole(stack, made, role_name=role, description=description, functions=functions)
    if any(is_permission_set(role) for role in roles):
        UrlCallerPolicy(
            stack,
            f"{name.removeprefix('lockgate-').title().replace('-', '')}Policy",
            name=name,
            description=description,
            functions=functions,
        )
