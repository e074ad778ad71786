"""What SageMaker knows about the executions of a model's pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lockgate import names


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
    return next((execution for execution in known if execution.name.startswith(f"commit-{commit[:12]}-")), None)


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
