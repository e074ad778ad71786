"""Processing jobs: S3 inputs at their LocalPath, a container with its arguments, outputs uploaded at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local import recorded
from local.sagemaker import jobs, state
from local.sagemaker.contract import ApiError
from local.sagemaker.storage import JobFailed, Storage

_MESSAGE_BYTES = 1024


class ProcessingJob(jobs.SageMakerJob):
    operation = "CreateProcessingJob"
    log_group = "/aws/sagemaker/ProcessingJobs"

    def __init__(self, name: str, request: Mapping[str, Any]) -> None:
        super().__init__(name, request)
        self.kms_key = request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        started = state.now()
        self.record = {
            **request,
            "ProcessingJobName": name,
            "ProcessingJobArn": self.arn,
            "ProcessingJobStatus": "InProgress",
            "CreationTime": started,
            "ProcessingStartTime": started,
            "LastModifiedTime": started,
        }
        state.processing_jobs[name] = self.record
        jobs.note_unused(request, request["ProcessingResources"]["ClusterConfig"]["InstanceCount"])

    @property
    def arn(self) -> str:
        return state.arn(f"processing-job/{self.name}")

    @property
    def image_uri(self) -> str:
        return str(self.request["AppSpecification"]["ImageUri"])

    @property
    def isolated(self) -> bool:
        return bool(self.request.get("NetworkConfig", {}).get("EnableNetworkIsolation"))

    @property
    def command(self) -> tuple[Sequence[str] | None, Sequence[str]]:
        application = self.request["AppSpecification"]
        return application.get("ContainerEntrypoint"), application.get("ContainerArguments", [])

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PROCESSING_JOB_NAME": self.name, "PROCESSING_JOB_ARN": self.arn}

    def prepare(self, ml: Path, storage: Storage) -> None:
        cluster = self.request["ProcessingResources"]["ClusterConfig"]
        configuration = {**self.request, "ProcessingJobName": self.name, "ProcessingJobArn": self.arn}
        jobs.write_json(ml / "config" / "processingjobconfig.json", configuration)
        jobs.write_json(
            ml / "config" / "resourceconfig.json",
            {"current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": cluster["InstanceType"]},
        )
        for item in self.request.get("ProcessingInputs", []):
            source = item.get("S3Input")
            if source is None or source["S3DataType"] != "S3Prefix" or source.get("S3InputMode", "File") != "File":
                raise JobFailed(f"ClientError: input {item['InputName']}: only S3Input S3Prefix File can be read here")
            storage.download(source["S3Uri"], jobs.inside(ml, source["LocalPath"]))
        for output in self._outputs():
            jobs.inside(ml, output["LocalPath"]).mkdir(parents=True, exist_ok=True)

    def collect(self, ml: Path, storage: Storage) -> None:
        self._keep_exit_message(ml)
        for output in self._outputs():
            if output["S3UploadMode"] == "Continuous":
                recorded.note("sagemaker", "S3UploadMode Continuous: outputs are uploaded when the job ends")
            storage.upload_folder(jobs.inside(ml, output["LocalPath"]), output["S3Uri"])

    def failure(self, ml: Path) -> str:
        self._keep_exit_message(ml)
        return str(self.record.get("ExitMessage", "See job logs for more information"))

    def enter(self, status: str, reason: str | None = None) -> None:
        now = state.now()
        self.record.update(ProcessingEndTime=now, LastModifiedTime=now, FailureReason=reason)
        self.record["ProcessingJobStatus"] = status  # last: whoever sees it may read the rest

    def _outputs(self) -> list[dict[str, Any]]:
        return [item["S3Output"] for item in self.request.get("ProcessingOutputConfig", {}).get("Outputs", [])]

    def _keep_exit_message(self, ml: Path) -> None:
        message = jobs.first(ml / "output" / "message", _MESSAGE_BYTES)
        if message:
            self.record["ExitMessage"] = message


def describe(request: Mapping[str, Any]) -> dict[str, Any]:
    job: dict[str, Any] | None = state.processing_jobs.get(request["ProcessingJobName"])
    if job is None:
        raise ApiError("ResourceNotFound", f"Could not find requested job with name: {request['ProcessingJobName']}")
    return job
