"""From an image to a registered version: a pipeline and a package group for each model, and the roles of its jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aws_cdk import Annotations, ArnFormat, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from lockgate import names
from lockgate.configuration.model import Model
from lockgate.configuration.project import Configuration
from lockgate.configuration.shipped import place
from lockgate.errors import ConfigError
from lockgate.policy.power import cannot_find
from lockgate_constructs.image_repository import PULL_ACTIONS, ImageRepository
from lockgate_constructs.model_pipeline import ModelPipeline
from lockgate_constructs.permission import EVERY_MODEL, allow, pass_role
from lockgate_constructs.pipeline_definition import fill
from lockgate_constructs.watched_rule import WatchedRule

from .artifacts import ArtifactsStack

DEFINITION = "model/pipeline.json"
_ANY_SNAPSHOT = "Snapshots are named after what they contain, and new ones are published at any time."
_ANY_EXECUTION = "Each execution has a folder of its own, named when it starts."


class TrainingStack(Stack):
    """Training sees features and writes models; evaluation sees labels and writes evidence."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        artifacts: ArtifactsStack,
        root: Path,
        stack_name: str,
    ) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description="Lockgate: training, evaluation and registry"
        )
        self._configuration = configuration
        self._artifacts = artifacts
        self._training = self._training_role()
        self._evaluation = self._evaluation_role()
        self._pipeline = self._pipeline_role()
        template = _read(place(root, DEFINITION))
        for model in configuration.models:
            ModelPipeline(
                self,
                f"Model-{model.name}",
                pipeline_name=names.pipeline(model.name),
                package_group_name=names.package_group(model.name),
                description=model.description,
                definition=fill(template, self._values(model), file=DEFINITION),
                role=self._pipeline,
                group_is_there=model.name in configuration.tools.kept_groups,
                tags={"lockgate:owner": model.owner, **({"lockgate:tier": model.tier} if model.tier else {})},
            )
            self._warn_of_few_rows(model)
        self._announce_failures()

    def _warn_of_few_rows(self, model: Model) -> None:
        """A team hears what its gate cannot find before the first verdict is inconclusive."""
        rows = self._configuration.policies[model.name].holdout_rows
        if rows is None:
            return
        policy = self._configuration.policy(self._configuration.environments[-1], model.name)
        for number, said in enumerate(cannot_find(policy, model.target, rows)):
            Annotations.of(self).add_warning_v2(f"lockgate:holdout-of-{model.name}-{number}", f"{model.name}: {said}")

    def _values(self, model: Model) -> dict[str, str]:
        """What the placeholders of the definition stand for."""
        artifacts, tools = self._artifacts, self._configuration.tools
        evaluator = names.repository_uri(tools.account, tools.region, names.EVALUATOR_REPOSITORY)
        return {
            "Model": model.name,
            "PackageGroup": names.package_group(model.name),
            "EvaluatorImage": f"{evaluator}@{tools.evaluator_image_digest}",
            "DataBucket": artifacts.data.bucket_name,
            "LabelsBucket": artifacts.labels.bucket_name,
            "ModelsBucket": artifacts.models.bucket_name,
            "EvidenceBucket": artifacts.evidence.bucket_name,
            "TrainingRole": self._training.role_arn,
            "EvaluationRole": self._evaluation.role_arn,
            "InstanceType": tools.training_instance_type,
            "KmsKey": artifacts.artifacts_key.key_arn,
        }

    def _training_role(self) -> iam.Role:
        """Who runs a commit's own code: prepare, train and predict."""
        role = self._job_role("Training", names.TRAINING_ROLE, self._artifacts.models_repository)
        artifacts = self._artifacts
        models = artifacts.models
        allow(role, ["s3:GetObject"], [artifacts.data.objects("snapshots/*")], because=_ANY_SNAPSHOT)
        allow(role, ["s3:GetObject", "s3:PutObject"], [models.objects("*")], because=_ANY_EXECUTION)
        allow(role, ["s3:ListBucket"], [artifacts.data.known_arn, models.known_arn])
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [artifacts.artifacts_key.key_arn])
        return role

    def _evaluation_role(self) -> iam.Role:
        """Who runs the pinned evaluator: the only one that reads labels and that writes evidence."""
        role = self._job_role("Evaluation", names.EVALUATION_ROLE, self._artifacts.evaluator_repository)
        artifacts = self._artifacts
        allow(role, ["s3:GetObject"], [artifacts.data.objects("snapshots/*")], because=_ANY_SNAPSHOT)
        allow(role, ["s3:GetObject"], [artifacts.labels.objects("*")], because=_ANY_SNAPSHOT)
        allow(role, ["s3:GetObject"], [artifacts.models.objects("*")], because=_ANY_EXECUTION)
        allow(role, ["s3:PutObject"], [artifacts.evidence.objects("*")], because=_ANY_EXECUTION)
        buckets = (artifacts.data, artifacts.labels, artifacts.models, artifacts.evidence)
        allow(role, ["s3:ListBucket"], [bucket.known_arn for bucket in buckets])
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [artifacts.artifacts_key.key_arn])
        allow(
            role,
            ["kms:Decrypt"],
            [self.format_arn(service="kms", resource="key", resource_name="*")],
            because="Labels published before they had the artifacts' key have one whose id is not known here.",
            conditions={
                "StringEquals": {"kms:ViaService": f"s3.{self.region}.amazonaws.com"},
                "StringLike": {
                    "kms:EncryptionContext:aws:s3:arn": [artifacts.labels.known_arn, artifacts.labels.objects("*")]
                },
            },
        )
        return role

    def _pipeline_role(self) -> iam.Role:
        """Who starts the jobs of an execution and registers its result."""
        role = iam.Role(
            self,
            "PipelineRole",
            role_name=names.PIPELINE_ROLE,
            description="Runs the steps of the models' pipelines.",
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
        )
        for job, resource in (("ProcessingJob", "processing-job"), ("TrainingJob", "training-job")):
            allow(
                role,
                ["sagemaker:AddTags", *(f"sagemaker:{verb}{job}" for verb in ("Create", "Describe", "Stop"))],
                [self._sagemaker(resource, "pipelines-*")],
                because="SageMaker names the jobs of an execution pipelines-<execution>-<step>-<suffix>.",
            )
        group = names.package_group(names.ANY)
        package_actions = ["sagemaker:AddTags", "sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage"]
        allow(role, package_actions, [self._sagemaker("model-package-group", group)], because=EVERY_MODEL)
        allow(
            role,
            package_actions,
            [self._sagemaker("model-package", f"{group}/*")],
            because="SageMaker counts the versions in a model's own group.",
        )
        artifacts = self._artifacts
        # The registry reads what it registers, and a property file is read between steps, as the caller.
        read = (artifacts.models, artifacts.evidence)
        allow(role, ["s3:GetObject"], [bucket.objects("*") for bucket in read], because=_ANY_EXECUTION)
        allow(role, ["s3:ListBucket"], [bucket.known_arn for bucket in read])
        allow(role, ["kms:Decrypt", "kms:DescribeKey"], [artifacts.artifacts_key.key_arn])
        allow(
            role,
            ["kms:CreateGrant"],
            [artifacts.artifacts_key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        )
        pass_role(role, [self._training.role_arn, self._evaluation.role_arn], "sagemaker.amazonaws.com")
        return role

    def _job_role(self, construct_id: str, role_name: str, repository: ImageRepository) -> iam.Role:
        """A role of SageMaker jobs that pull from one repository and write their own logs."""
        role = iam.Role(
            self,
            construct_id,
            role_name=role_name,
            description=f"{construct_id} jobs of the models' pipelines.",
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
        )
        allow(role, ["ecr:GetAuthorizationToken"], ["*"], because="Logging in to ECR has no resource to name.")
        allow(role, PULL_ACTIONS, [repository.repository_arn])
        allow(
            role,
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [
                self.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name="/aws/sagemaker/*",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            because="SageMaker gives every job a log stream of its own in groups that it names.",
        )
        return role

    def _announce_failures(self) -> None:
        WatchedRule(
            self,
            "ExecutionFailed",
            description="An execution of a model's pipeline failed: nothing was registered.",
            dead_letters=self._artifacts.dead_letters,
            pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Building Pipeline Execution Status Change"],
                detail={
                    "currentPipelineExecutionStatus": ["Failed"],
                    "pipelineArn": events.Match.prefix(self._sagemaker("pipeline", names.pipeline(""))),
                },
            ),
        ).tells(self._artifacts.failures)

    def _sagemaker(self, resource: str, name: str) -> str:
        return self.format_arn(service="sagemaker", resource=resource, resource_name=name)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(DEFINITION, "file", "no such file", "the pipeline definition that the build writes") from None
    except ValueError as error:
        raise ConfigError(DEFINITION, "file", str(error), "valid JSON") from error
