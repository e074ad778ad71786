"""What starts the workflow without a person: a version that was registered, and a clock for those that were lost."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events

from lockgate import names
from lockgate_constructs.failure_topic import alarm
from lockgate_constructs.watched_rule import WatchedRule
from stacks.promotion.factory import COUNTED, FunctionFactory

RECONCILE_MINUTES = 15


def start_registered(factory: FunctionFactory) -> None:
    dead_letters = factory.artifacts.dead_letters
    intake = factory.function(
        "Intake",
        "intake",
        "Starts the promotion of each registered model version.",
        {"STATE_MACHINE_ARN": factory.machine_arn, "MODELS": ",".join(factory.models)},
        dead_letters=dead_letters,
    )
    intake.allow("states:StartExecution", on=[factory.machine_arn])
    intake.allow("sagemaker:DescribeModelPackage", on=factory.packages, because=COUNTED)
    WatchedRule(
        factory.stack,
        "Registered",
        description="A model version was registered and awaits its gate.",
        dead_letters=dead_letters,
        pattern=events.EventPattern(
            source=["aws.sagemaker"],
            detail_type=["SageMaker Model Package State Change"],
            detail={
                "ModelPackageGroupName": [names.package_group(model) for model in factory.models],
                "ModelApprovalStatus": ["PendingManualApproval"],
            },
        ),
    ).calls(intake.function)


def resume_lost(factory: FunctionFactory) -> None:
    """What an event lost is found and resumed once; what stays stuck calls a person."""
    artifacts = factory.artifacts
    dead_letters = factory.artifacts.dead_letters
    reconcile = factory.function(
        "Reconcile",
        "reconcile",
        "Finds versions that were lost on their way and resumes each once.",
        {"STATE_MACHINE_ARN": factory.machine_arn, "MODELS": ",".join(factory.models)},
        ledger="reads",
        minutes=5,
        dead_letters=dead_letters,
    )
    reconcile.allow("states:ListExecutions", "states:StartExecution", on=[factory.machine_arn])
    reconcile.allow("sagemaker:ListModelPackages", on=["*"], because="Listing model packages has no resource to name.")
    factory.let_count(reconcile)
    factory.regularly(
        "ReconcileRegularly",
        reconcile,
        description="Looks for versions that an event or a workflow lost.",
        minutes=RECONCILE_MINUTES,
        dead_letters=dead_letters,
    )
    alarm(
        factory.stack,
        "StuckAlarm",
        metric=cloudwatch.Metric(
            namespace=names.METRIC_NAMESPACE,
            metric_name=names.STUCK,
            statistic="Maximum",
            period=Duration.minutes(RECONCILE_MINUTES),
        ),
        description="A version was lost on its way, also when it was resumed: `lockgate promote` tries again.",
        topic=artifacts.failures,
    )
