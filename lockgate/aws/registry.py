"""The model registry and the pipeline executions behind it, in SageMaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code
from lockgate.evidence.package import Registered
from lockgate.gate.verification import Evaluation, Package

# DescribeModelPackage answers ValidationException for a package that does not exist.
ABSENT = ("ValidationException", "ResourceNotFound")
EVALUATE_STEP = "evaluate"
CHAMPION_STEP = "champion"


class Registry:
    """Reads packages and what evaluated them; marks the approval status that people see in the registry."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker

    def describe(self, arn: str) -> Package | None:
        """None when there is no such package."""
        try:
            answer = self._sagemaker.describe_model_package(ModelPackageName=arn)
        except ClientError as error:
            if code(error) in ABSENT:
                return None
            raise
        containers = answer.get("InferenceSpecification", {}).get("Containers", [])
        container = containers[0] if len(containers) == 1 else {}
        return Package(
            arn=answer["ModelPackageArn"],
            group=answer.get("ModelPackageGroupName", ""),
            version=answer.get("ModelPackageVersion", 0),
            status=answer["ModelPackageStatus"],
            approval=answer.get("ModelApprovalStatus", ""),
            image=container.get("Image", ""),
            model_data_uri=container.get("ModelDataUrl", ""),
            properties=answer.get("CustomerMetadataProperties", {}),
        )

    def registered(self, model: str, *, since: datetime) -> tuple[Registered, ...]:
        """The model's complete packages that were registered since then."""
        pages = self._sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=names.package_group(model), CreationTimeAfter=since
        )
        return tuple(
            Registered(
                entry["ModelPackageVersion"],
                entry["ModelPackageArn"],
                entry.get("ModelApprovalStatus") == "PendingManualApproval",
            )
            for page in pages
            for entry in page["ModelPackageSummaryList"]
            if entry["ModelPackageStatus"] == "Completed"
        )

    def mark(self, package: Package, approved: bool, why: str) -> None:
        """Approve a package that waits, or reject one. What is rejected stays so; what is so already is left alone."""
        status = "Approved" if approved else "Rejected"
        if package.approval in ("Rejected", status):
            return
        self._sagemaker.update_model_package(
            ModelPackageArn=package.arn, ModelApprovalStatus=status, ApprovalDescription=why[:1024]
        )

    def reopen(self, arn: str, why: str) -> None:
        """Let a package wait again, whatever was said of it before: somebody decides anew."""
        self._sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="PendingManualApproval", ApprovalDescription=why[:1024]
        )

    def evaluation(self, execution: str) -> Evaluation | None:
        """The job of the step `evaluate` of a pipeline execution (ARN); None when there is none."""
        try:
            pages = self._sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
                PipelineExecutionArn=execution
            )
            steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
            job = self._job(steps, EVALUATE_STEP)
            if job is None:
                return None
            champion = self._job(steps, CHAMPION_STEP)
        except ClientError as error:
            if code(error) in ABSENT:
                return None
            raise
        outputs = job.get("ProcessingOutputConfig", {}).get("Outputs", [])
        return Evaluation(
            status=job["ProcessingJobStatus"],
            image=job["AppSpecification"]["ImageUri"],
            outputs=tuple(output["S3Output"]["S3Uri"] for output in outputs if "S3Output" in output),
            champion_image=champion["AppSpecification"]["ImageUri"] if champion else "",
            ended=_utc(job.get("ProcessingEndTime")),
        )

    def started_by(self, execution: str) -> str:
        """ARN of who started a pipeline execution (ARN), as SageMaker knows it; "" when it does not say."""
        try:
            answer = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        except ClientError as error:
            if code(error) in ABSENT:
                return ""
            raise
        return str(answer.get("CreatedBy", {}).get("IamIdentity", {}).get("Arn", ""))

    def _job(self, steps: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
        """The processing job of the one step of this name."""
        jobs = [
            step["Metadata"]["ProcessingJob"]["Arn"]
            for step in steps
            if step["StepName"] == name and "ProcessingJob" in step.get("Metadata", {})
        ]
        if len(jobs) != 1:
            return None
        job: dict[str, Any] = self._sagemaker.describe_processing_job(ProcessingJobName=jobs[0].rpartition("/")[2])
        return job


def _utc(moment: datetime | None) -> str:
    """ISO 8601 with milliseconds, as the ledger's records have it; "" for none."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else ""
