"""What SageMaker knows about the executions of a model's pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code
from lockgate.errors import NotFoundError
from lockgate.release.fingerprint import Training

# What SageMaker and IAM say of a pipeline that does not exist: the delivery role knows those of deployed stacks.
UNKNOWN_PIPELINE = ("ResourceNotFound", "AccessDenied", "AccessDeniedException")


@dataclass(frozen=True)
class Step:
    """One step of an execution; seconds is None while it runs."""

    name: str
    status: str
    seconds: float | None
    failure: str | None
    package_arn: str | None


@dataclass(frozen=True)
class Execution:
    """One run of a pipeline; status as SageMaker has it: Executing, Succeeded, Failed, Stopping, Stopped."""

    arn: str
    name: str
    status: str
    failure: str | None
    started: datetime


def executions(sagemaker: Any, model: str) -> list[Execution]:
    """The pipeline's executions, newest first, 100 at most; none when there is no such pipeline yet."""
    try:
        listed = sagemaker.list_pipeline_executions(
            PipelineName=names.pipeline(model), SortBy="CreationTime", SortOrder="Descending", MaxResults=100
        )
    except sagemaker.exceptions.ResourceNotFound:
        return []
    return [
        Execution(
            arn=summary["PipelineExecutionArn"],
            name=summary.get("PipelineExecutionDisplayName", ""),
            status=summary["PipelineExecutionStatus"],
            failure=summary.get("PipelineExecutionFailureReason"),
            started=summary["StartTime"],
        )
        for summary in listed["PipelineExecutionSummaries"]
    ]


def newest_of_commit(known: Sequence[Execution], commit: str) -> Execution | None:
    """The newest execution that a delivery started for a commit (delivery.display_name)."""
    return next(iter(of_commit(known, commit)), None)


def of_commit(known: Sequence[Execution], commit: str) -> list[Execution]:
    """Those that deliveries of a commit started, in their order."""
    return [execution for execution in known if execution.name.startswith(name_of_commit(commit))]


def name_of_commit(commit: str) -> str:
    """How the names of a commit's executions begin."""
    return f"commit-{commit[:12]}-"


def pipeline_definition(sagemaker: Any, model: str) -> str:
    """The deployed definition of a model's pipeline, as it is. Raises NotFoundError where none is that can be used."""
    expected = "deploy the tools (`cdk deploy 'tools/*'`), then deliver again"
    try:
        found = str(sagemaker.describe_pipeline(PipelineName=names.pipeline(model))["PipelineDefinition"])
    except ClientError as error:
        if code(error) not in UNKNOWN_PIPELINE:
            raise
        raise NotFoundError(
            f"model {model}: no training was started: found no pipeline {names.pipeline(model)} that may be started, "
            f"expected the one of its stack: {expected}"
        ) from error
    if "Fingerprint" not in [parameter["Name"] for parameter in json.loads(found)["Parameters"]]:
        raise NotFoundError(
            f"model {model}: no training was started: found a pipeline {names.pipeline(model)} without the parameter "
            f"Fingerprint, which an older Lockgate deployed, expected one that has it: {expected}"
        )
    return found


def trainings(sagemaker: Any, known: Sequence[Execution]) -> Iterator[Training]:
    """Of these executions those that run or succeeded, in their order; each is asked about when it is reached."""
    for execution in known:
        if execution.status in ("Executing", "Succeeded"):
            pages = sagemaker.get_paginator("list_pipeline_parameters_for_execution").paginate(
                PipelineExecutionArn=execution.arn
            )
            given = {each["Name"]: each["Value"] for page in pages for each in page["PipelineParameters"]}
            yield Training(
                execution=execution.arn,
                commit=given.get("Commit", ""),
                snapshot=given.get("Snapshot", ""),
                fingerprint=given.get("Fingerprint", ""),
                running=execution.status == "Executing",
            )


def version_of(begun: Sequence[Step]) -> int | None:
    """The version that an execution registered, by its steps; None where it has registered none."""
    arns = [step.package_arn for step in begun if step.package_arn]
    return int(arns[-1].rpartition("/")[2]) if arns else None


def steps(sagemaker: Any, execution_arn: str) -> list[Step]:
    """The steps that have begun, in the order in which they did."""
    listed = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution_arn, SortOrder="Ascending")
    return [_step(summary) for summary in listed["PipelineExecutionSteps"]]


def _step(summary: Mapping[str, Any]) -> Step:
    begin, end = summary.get("StartTime"), summary.get("EndTime")
    return Step(
        name=summary["StepName"],
        status=summary["StepStatus"],
        seconds=(end - begin).total_seconds() if begin and end else None,
        failure=summary.get("FailureReason"),
        package_arn=summary.get("Metadata", {}).get("RegisterModel", {}).get("Arn"),
    )
