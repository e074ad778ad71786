"""What carries promotions along without a person: starts, resumes, requests for approval, records, attestations."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events

from lockgate import names
from lockgate_constructs.build_overrides import refuse_overrides
from lockgate_constructs.failure_topic import MISSED_LOOKS, NOBODY_LOOKED, alarm
from lockgate_constructs.promotion_workflow import APPROVAL_SECONDS
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.watched_rule import WatchedRule

from .factory import COUNTED, LOOK_MINUTES, FunctionFactory

IMAGE_PROJECTS = (names.IMAGE_PROJECT, names.EVALUATOR_PROJECT)


def carry_along(factory: FunctionFactory) -> PythonFunction:
    """The controller and what it may do. Events and clocks call it, and so does the workflow."""
    artifacts, tools = factory.artifacts, factory.configuration.tools
    controller = factory.function(
        "Controller",
        "controller",
        "Carries promotions along: starts and resumes them, asks for approvals, records how they end.",
        {
            "ACCOUNT": tools.account,
            "APPROVAL_SECONDS": str(APPROVAL_SECONDS),
            "DATA_BUCKET": artifacts.data.bucket_name,
            "MODELS": ",".join(factory.models),
            "STATE_MACHINE_ARN": factory.machine_arn,
        },
        ledger="appends",
        function_name=names.CONTROLLER_FUNCTION,
        minutes=5,
        dead_letters=artifacts.dead_letters,
    )
    controller.allow("states:ListExecutions", "states:StartExecution", on=[factory.machine_arn])
    controller.allow("sagemaker:DescribeModelPackage", on=factory.packages, because=COUNTED)
    controller.allow("sagemaker:ListModelPackages", on=["*"], because="Listing model packages has no resource to name.")
    controller.allow(
        "sts:AssumeRole",
        on=[
            names.role_arn(environment.account, names.reader_role(environment.name))
            for environment in factory.configuration.environments
        ],
    )
    factory.let_note_champions(controller)
    factory.let_count(controller)
    _start_registered(factory, controller)
    factory.regularly(controller, {"action": "collect"})
    factory.regularly(controller, {"action": "resume"})
    if tools.attestation:
        _have_images_vouched_for(factory, controller)
        factory.regularly(controller, {"action": "attest"})
    alarm(
        factory.stack,
        "StuckAlarm",
        metric=cloudwatch.Metric(
            namespace=names.METRIC_NAMESPACE,
            metric_name=names.STUCK,
            statistic="Maximum",
            period=Duration.minutes(MISSED_LOOKS * LOOK_MINUTES),
        ),
        description="A version was lost on its way, also when it was resumed (`lockgate promote` tries again), or one "
        "serves that nothing let in (`lockgate status`).",
        topic=artifacts.failures,
        silence=NOBODY_LOOKED,
    )
    return controller


def _start_registered(factory: FunctionFactory, controller: PythonFunction) -> None:
    WatchedRule(
        factory.stack,
        "Registered",
        description="A model version was registered and awaits its gate.",
        dead_letters=factory.artifacts.dead_letters,
        pattern=events.EventPattern(
            source=["aws.sagemaker"],
            detail_type=["SageMaker Model Package State Change"],
            detail={
                "ModelPackageGroupName": [names.package_group(model) for model in factory.models],
                "ModelApprovalStatus": ["PendingManualApproval"],
            },
        ),
    ).calls(controller.function)


def _have_images_vouched_for(factory: FunctionFactory, controller: PythonFunction) -> None:
    """A build that succeeded starts the attestation; it may choose nothing but which build that is about."""
    artifacts, tools = factory.artifacts, factory.configuration.tools
    built = [names.project_arn(tools.account, tools.region, project) for project in IMAGE_PROJECTS]
    attestation = names.project_arn(tools.account, tools.region, names.ATTESTATION_PROJECT)
    controller.allow("codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", on=built)
    controller.allow("codebuild:StartBuild", on=[attestation])
    refuse_overrides(controller.role, attestation)
    repositories = (artifacts.models_repository, artifacts.evaluator_repository)
    controller.allow("ecr:BatchGetImage", on=[repository.repository_arn for repository in repositories])
    WatchedRule(
        factory.stack,
        "Built",
        description="A build pushed an image that nobody has vouched for yet.",
        dead_letters=artifacts.dead_letters,
        pattern=events.EventPattern(
            source=["aws.codebuild"],
            detail_type=["CodeBuild Build State Change"],
            detail={"project-name": list(IMAGE_PROJECTS), "build-status": ["SUCCEEDED"]},
        ),
    ).calls(controller.function)
