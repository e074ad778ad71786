"""Training jobs: channels, hyperparameters, `train`, and /opt/ml/model as model.tar.gz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local import recorded
from local.sagemaker import jobs, state
from local.sagemaker.contract import ApiError
from local.sagemaker.storage import JobFailed, Storage

_FAILURE_BYTES = 1024


class TrainingJob(jobs.SageMakerJob):
    operation = "CreateTrainingJob"
    log_group = "/aws/sagemaker/TrainingJobs"

    def __init__(self, name: str, request: Mapping[str, Any]) -> None:
        super().__init__(name, request)
        self._output = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output"
        self.kms_key = request["OutputDataConfig"].get("KmsKeyId")
        started = state.now()
        self.record = {
            **request,
            "TrainingJobName": name,
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "ModelArtifacts": {"S3ModelArtifacts": f"{self._output}/model.tar.gz"},
            "CreationTime": started,
            "TrainingStartTime": started,
            "LastModifiedTime": started,
            "SecondaryStatusTransitions": [],
        }
        self._transition("Starting")
        state.training_jobs[name] = self.record
        jobs.note_unused(request, request.get("ResourceConfig", {}).get("InstanceCount", 1))
        if request["OutputDataConfig"].get("CompressionType") == "NONE":
            recorded.note("sagemaker", "OutputDataConfig CompressionType NONE: the model is an archive all the same")
        if request["AlgorithmSpecification"].get("MetricDefinitions"):
            recorded.note("sagemaker", "MetricDefinitions: metrics are not read from the training log")

    @property
    def arn(self) -> str:
        return state.arn(f"training-job/{self.name}")

    @property
    def image_uri(self) -> str:
        return str(self.request["AlgorithmSpecification"].get("TrainingImage"))

    @property
    def isolated(self) -> bool:
        return bool(self.request.get("EnableNetworkIsolation"))

    @property
    def command(self) -> tuple[Sequence[str] | None, Sequence[str]]:
        algorithm = self.request["AlgorithmSpecification"]
        entrypoint, arguments = algorithm.get("ContainerEntrypoint"), algorithm.get("ContainerArguments")
        return entrypoint, arguments or ([] if entrypoint else ["train"])

    @property
    def environment(self) -> Mapping[str, str]:
        return {"TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self.arn}

    def prepare(self, ml: Path, storage: Storage) -> None:
        self._transition("Downloading")
        channels = self.request.get("InputDataConfig", [])
        configuration = ml / "input" / "config"
        jobs.write_json(configuration / "hyperparameters.json", self.request.get("HyperParameters", {}))
        jobs.write_json(
            configuration / "inputdataconfig.json",
            {channel["ChannelName"]: self._described(channel) for channel in channels},
        )
        jobs.write_json(
            configuration / "resourceconfig.json",
            {
                "current_host": "algo-1",
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
                "current_instance_type": self.request.get("ResourceConfig", {}).get("InstanceType"),
            },
        )
        for channel in channels:
            source = channel["DataSource"].get("S3DataSource")
            if source is None or source["S3DataType"] != "S3Prefix" or self._mode(channel) == "Pipe":
                raise JobFailed(
                    f"ClientError: channel {channel['ChannelName']}: only S3Prefix in File mode is read here"
                )
            storage.download(source["S3Uri"], ml / "input" / "data" / channel["ChannelName"])
        for made in ("model", "output/data", "checkpoints"):
            (ml / made).mkdir(parents=True, exist_ok=True)
        self._transition("Training")

    def collect(self, ml: Path, storage: Storage) -> None:
        self._transition("Uploading")
        if any((ml / "output" / "data").iterdir()):
            storage.upload_archive(ml / "output" / "data", f"{self._output}/output.tar.gz")
        storage.upload_archive(ml / "model", f"{self._output}/model.tar.gz")

    def failure(self, ml: Path) -> str:
        return jobs.first(ml / "output" / "failure", _FAILURE_BYTES)

    def enter(self, status: str, reason: str | None = None) -> None:
        now = state.now()
        secondary = "MaxRuntimeExceeded" if reason == "MaxRuntimeExceeded" else status
        self._transition(secondary)
        self.record["SecondaryStatusTransitions"][-1]["EndTime"] = now
        seconds = max(1, round(now - self.record["CreationTime"]))
        self.record.update(TrainingEndTime=now, TrainingTimeInSeconds=seconds, BillableTimeInSeconds=seconds)
        self.record["FailureReason"] = reason
        self.record["TrainingJobStatus"] = status  # last: whoever sees it may read the rest

    def _transition(self, secondary: str) -> None:
        now = state.now()
        transitions = self.record["SecondaryStatusTransitions"]
        if transitions:
            transitions[-1]["EndTime"] = now
        transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": secondary})
        self.record.update(SecondaryStatus=secondary, LastModifiedTime=now)

    def _described(self, channel: Mapping[str, Any]) -> dict[str, Any]:
        source = channel["DataSource"].get("S3DataSource", {})
        return {
            "TrainingInputMode": self._mode(channel),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }

    def _mode(self, channel: Mapping[str, Any]) -> str:
        mode = str(channel.get("InputMode", self.request["AlgorithmSpecification"]["TrainingInputMode"]))
        if mode == "FastFile":
            recorded.note("sagemaker", "FastFile channels are copied before training, as in File mode")
        return mode


def describe(request: Mapping[str, Any]) -> dict[str, Any]:
    job: dict[str, Any] | None = state.training_jobs.get(request["TrainingJobName"])
    if job is None:
        raise ApiError("ResourceNotFound", "Requested resource not found.")
    return job
