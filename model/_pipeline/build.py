"""Build model/pipeline.json, the definition of the pipeline that every model gets, with the SageMaker SDK.

    .venv-pipeline/bin/python model/_pipeline/build.py                 writes model/pipeline.json
    .venv-pipeline/bin/python model/_pipeline/build.py /dev/stdout     prints it

Whoever starts an execution chooses seven parameters. What the infrastructure fixes is a placeholder `{{Name}}` that
the stack replaces. No AWS call, no credentials, no clock: the same code gives the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(
    AWS_DEFAULT_REGION="us-east-1",  # the SDK cannot be imported without one; none is in the definition
    AWS_ACCESS_KEY_ID="none",
    AWS_SECRET_ACCESS_KEY="none",  # noqa: S106
    AWS_EC2_METADATA_DISABLED="true",
    SAGEMAKER_VALIDATE_ROLE="false",
    SAGEMAKER_ADMIN_CONFIG_OVERRIDE=os.devnull,  # defaults of a laptop must not get into the definition
    SAGEMAKER_USER_CONFIG_OVERRIDE=os.devnull,
)

import boto3
from sagemaker.core.metadata_properties import MetadataProperties
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.telemetry import telemetry_logging
from sagemaker.core.training.configs import (
    Compute,
    InputData,
    Networking,
    OutputDataConfig,
    StoppingCondition,
)
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

TARGET = Path(__file__).resolve().parent.parent / "pipeline.json"
HOUR = 3600
VOLUME_GB = 30

COMMIT, IMAGE, SNAPSHOT, ACTOR = (ParameterString(name) for name in ("Commit", "Image", "Snapshot", "Actor"))
# What is served while the commit is judged: its image, and the s3:// URI of its model.tar.gz. Whoever starts an
# execution says so, and the gate compares it with the ledger.
CHAMPION_IMAGE, CHAMPION_MODEL = (ParameterString(name) for name in ("ChampionImage", "ChampionModel"))
# What it starts from, as one digest: a later delivery that starts from the same trains nothing. No gate reads it.
FINGERPRINT = ParameterString("Fingerprint")
# The champion's step runs in the champion's own image, which no commit can mend. It may know another schema, raise,
# hang or be killed. A step that fails would end the execution, so this one never does: it leaves a note of how it
# ended. The evaluator does not trust what it wrote either. SageMaker takes 256 characters a word.
CHAMPION_STEP = (
    'o=${ML_ROOT:-/opt/ml};n=$o/processing/output/champion;mkdir -p "$n";'
    "timeout -k 9 3000 python3 -m runtime champion||"
    '{ c=$?;rm -rf "$n"/*;echo its step ended with exit code $c >"$n/none.txt";'
    'head -c 900 "$o/output/message">>"$n/none.txt";true;}'
)
EXECUTION = ExecutionVariables.PIPELINE_EXECUTION_ARN
EVIDENCE = "evidence.json"
ROLE = "arn:aws:iam::000000000000:role/"  # what does not look like an ARN the SDK looks up; taken off at the end


class OfflineSession(PipelineSession):  # type: ignore[misc]
    """Collects requests and never asks AWS."""

    def __init__(self) -> None:
        super().__init__(boto_session=boto3.Session(region_name="us-east-1"), default_bucket="none")

    def default_bucket(self) -> str:
        raise AssertionError("the SDK asked for its default bucket: some location is not given")


def build() -> dict[str, Any]:
    """The definition as data; placeholders stand in strings."""
    telemetry_logging._send_telemetry_request = lambda *_, **__: None
    session = OfflineSession()
    snapshot = _join("s3://{{DataBucket}}/snapshots/{{Model}}/", SNAPSHOT, "/")
    prepared = _place("{{ModelsBucket}}", "/prepared/")
    predictions = _place("{{ModelsBucket}}", "/predictions/")
    champion_predictions = _place("{{ModelsBucket}}", "/champion/")
    evidence = _place("{{EvidenceBucket}}", "/")

    prepare = ProcessingStep(
        name="prepare",
        step_args=_processor(session, _runtime("prepare")).run(
            inputs=[_input("snapshot", snapshot)], outputs=[_output("prepared", prepared)]
        ),
    )
    train = TrainingStep(name="train", step_args=_trainer(session).train([_channel(prepared)]), depends_on=[prepare])
    model_data = train.properties.ModelArtifacts.S3ModelArtifacts
    predict = ProcessingStep(
        name="predict",
        step_args=_processor(session, _runtime("predict")).run(
            inputs=[_input("model", model_data), _input("prepared", prepared)],
            outputs=[_output("predictions", predictions)],
        ),
        depends_on=[train],
    )
    champion = ProcessingStep(
        name="champion",
        step_args=_processor(session, ["/bin/sh", "-c", CHAMPION_STEP], CHAMPION_IMAGE).run(
            inputs=[_input("model", CHAMPION_MODEL), _input("snapshot", snapshot)],
            outputs=[_output("champion", champion_predictions)],
        ),
        depends_on=[prepare],  # a commit whose data is refused should not cost a champion's prediction
    )
    digests = PropertyFile(name="Digests", output_name="evidence", path="digests.json")
    evaluate = ProcessingStep(
        name="evaluate",
        step_args=_evaluator(session).run(
            inputs=[
                _input("predictions", predictions),
                _input("model", model_data),
                _input("champion", champion_predictions),
                _input("champion-model", CHAMPION_MODEL),
                _input("snapshot", snapshot),
                _input("labels", _join("s3://{{LabelsBucket}}/{{Model}}/", SNAPSHOT, "/")),
            ],
            outputs=[_output("evidence", evidence)],
        ),
        property_files=[digests],
        depends_on=[predict, champion],
    )
    register = ModelStep(
        name="register", step_args=_register(session, model_data, evidence, digests), depends_on=[evaluate]
    )
    pipeline = Pipeline(
        name="lockgate",
        parameters=[COMMIT, IMAGE, SNAPSHOT, ACTOR, CHAMPION_IMAGE, CHAMPION_MODEL, FINGERPRINT],
        steps=[prepare, train, predict, champion, evaluate, register],
        pipeline_experiment_config=None,  # no experiment and no trial for each execution
        sagemaker_session=session,
    )
    definition: dict[str, Any] = completed(json.loads(pipeline.definition()))
    return definition


def completed(value: Any) -> Any:
    """The definition without what the SDK sets to null or to an empty object, and with placeholders as roles."""
    if isinstance(value, str):
        return value.removeprefix(ROLE)
    if isinstance(value, list):
        return [completed(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: completed(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not None and item != {}}


def to_bytes(definition: dict[str, Any]) -> bytes:
    return (json.dumps(definition, indent=2, sort_keys=True) + "\n").encode()


def _join(*parts: Any) -> Join:
    return Join(on="", values=list(parts))


def _place(bucket: str, end: str) -> Join:
    """Below this model and this execution: two executions never write to the same place."""
    return _join(f"s3://{bucket}/{{{{Model}}}}/", ExecutionVariables.PIPELINE_EXECUTION_ID, end)


def _runtime(command: str) -> list[str]:
    return ["python3", "-m", "runtime", command]


def _processor(session: PipelineSession, entrypoint: list[str], image: ParameterString = IMAGE) -> Processor:
    """A step of a commit's image. It gets the training role, which cannot read labels or write evidence."""
    return Processor(
        role=ROLE + "{{TrainingRole}}",
        image_uri=image,
        entrypoint=entrypoint,
        env={"MODEL": "{{Model}}", "SNAPSHOT": SNAPSHOT},
        **_machine(session),
    )


def _evaluator(session: PipelineSession) -> Processor:
    """The step of the pinned evaluator. Facts about the run come from here, not from the commit's files."""
    return Processor(
        role=ROLE + "{{EvaluationRole}}",
        image_uri="{{EvaluatorImage}}",
        entrypoint=["python3", "-m", "runtime.evaluate"],
        env={
            "MODEL": "{{Model}}",
            "COMMIT": COMMIT,
            "IMAGE": IMAGE,
            "SNAPSHOT": SNAPSHOT,
            "ACTOR": ACTOR,
            "EXECUTION": EXECUTION,
        },
        **_machine(session),
    )


def _machine(session: PipelineSession) -> dict[str, Any]:
    return {
        "instance_count": 1,
        "instance_type": "{{InstanceType}}",
        "volume_size_in_gb": VOLUME_GB,
        "volume_kms_key": "{{KmsKey}}",
        "output_kms_key": "{{KmsKey}}",
        "max_runtime_in_seconds": HOUR,
        "network_config": NetworkConfig(enable_network_isolation=True),
        "sagemaker_session": session,
    }


def _trainer(session: PipelineSession) -> ModelTrainer:
    """SageMaker calls the image with the argument `train`. Parameters are in the commit's model.toml, not here."""
    return ModelTrainer(
        sagemaker_session=session,
        role=ROLE + "{{TrainingRole}}",
        training_image=IMAGE,
        base_job_name="train",  # else the SDK reads one out of the image, which is a parameter
        environment={"MODEL": "{{Model}}"},
        compute=Compute(
            instance_type="{{InstanceType}}",
            instance_count=1,
            volume_size_in_gb=VOLUME_GB,
            volume_kms_key_id="{{KmsKey}}",
        ),
        networking=Networking(enable_network_isolation=True),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=HOUR),
        output_data_config=OutputDataConfig(
            s3_output_path=_place("{{ModelsBucket}}", "/training/"), kms_key_id="{{KmsKey}}"
        ),
    )


def _channel(prepared: Join) -> InputData:
    return InputData(channel_name="train", data_source=prepared)


def _input(name: str, uri: Any) -> ProcessingInput:
    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=f"/opt/ml/processing/input/{name}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
            s3_data_distribution_type="FullyReplicated",
        ),
    )


def _output(name: str, uri: Join) -> ProcessingOutput:
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(
            s3_uri=uri, local_path=f"/opt/ml/processing/output/{name}", s3_upload_mode="EndOfJob"
        ),
    )


def _register(session: PipelineSession, model_data: Any, evidence: Join, digests: PropertyFile) -> Any:
    """The package waits for the gate. Its metadata are the fields of lockgate.evidence.package.Lineage."""

    def digest(name: str) -> JsonGet:
        return JsonGet(step_name="evaluate", property_file=digests, json_path=name)

    document = _join(*evidence.values, EVIDENCE)
    return ModelBuilder(
        image_uri=IMAGE,
        dependencies={},  # else the SDK packs code beside the model; ours is in the image
        s3_model_data_url=model_data,
        role_arn=ROLE + "{{TrainingRole}}",
        sagemaker_session=session,
    ).register(
        model_package_group_name="{{PackageGroup}}",
        content_types=["application/json"],
        response_types=["application/json"],
        approval_status="PendingManualApproval",
        model_metrics=ModelMetrics(
            model_statistics=MetricsSource("application/json", document, _join("sha256:", digest("evidence_sha256")))
        ),
        metadata_properties=MetadataProperties(commit_id=COMMIT, generated_by=EXECUTION),
        customer_metadata_properties={
            "commit": COMMIT,
            "image": IMAGE,
            "snapshot": SNAPSHOT,
            "fingerprint": FINGERPRINT,
            "actor": ACTOR,
            "execution": EXECUTION,
            "evidence_uri": document,
            "evidence_sha256": digest("evidence_sha256"),
            "model_sha256": digest("model_sha256"),
        },
    )


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # what the SDK says about names that SageMaker gives at run time
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_bytes(to_bytes(build()))
