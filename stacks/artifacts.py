"""What every later step reads or writes: keys, buckets, image repositories, and where failures are said."""

from __future__ import annotations

from aws_cdk import Annotations, Duration, Stack
from constructs import Construct

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate_constructs.access_logs import AccessLogs
from lockgate_constructs.dead_letters import DeadLetters
from lockgate_constructs.encryption_key import EncryptionKey
from lockgate_constructs.failure_topic import SERVICES, FailureTopic
from lockgate_constructs.image_repository import ImageRepository
from lockgate_constructs.ledger_bucket import LedgerBucket
from lockgate_constructs.private_bucket import PrivateBucket
from lockgate_constructs.signing_key import SigningKey

UPGRADING = "lockgate:upgrading-from-0.1"  # context of the first of two deployments of each stage


class ArtifactsStack(Stack):
    """One key for what jobs read and write, another for what is decided and said, of which no job may use anything.

    Labels have the key of the artifacts: its policy lets the evaluation alone decrypt them.
    """

    def __init__(self, scope: Construct, construct_id: str, *, configuration: Configuration, stack_name: str) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description="Lockgate: artifacts, labels and the ledger"
        )
        self._tools = configuration.tools
        # What was recorded stays readable only while this key keeps its id, and with it this construct's.
        self.records_key = EncryptionKey(
            self, "LedgerKey", description="Lockgate: the ledger, logs, alarms and dead letters", services=SERVICES
        )
        self.records_key.allow_log_groups()
        self.failures = FailureTopic(self, "Failures", key=self.records_key)
        self.dead_letters = DeadLetters(self, "DeadLetters", key=self.records_key, failures=self.failures)
        self.artifacts_key = EncryptionKey(
            self, "ArtifactsKey", description="Lockgate: sources, data, labels, models, images"
        )
        self.signing_key = self._signing_key() if self._tools.attestation else None
        self.access_logs = AccessLogs(self, "Logs", bucket_name=self._name("logs"))

        self.source = self._bucket("Source", self.artifacts_key)
        self.data = self._bucket("Data", self.artifacts_key)
        self.models = self._bucket("Models", self.artifacts_key)
        self.evidence = self._evidence()
        self.labels = self._labels()
        for bucket in (self.source, self.data, self.labels):
            bucket.write_once()
        self.ledger = LedgerBucket(
            self,
            "Ledger",
            bucket_name=self._name("ledger"),
            key=self.records_key,
            access_logs=self.access_logs,
            locked=Duration.days(self._tools.ledger_retention_days),
            lock_mode=self._tools.ledger_lock_mode,
            writers=[self._role(role) for role in names.LEDGER_WRITER_ROLES],
        )
        self.ledger.tells_events()
        self.models_repository = self._repository("ModelImages", names.MODELS_REPOSITORY)
        self.evaluator_repository = self._repository("EvaluatorImages", names.EVALUATOR_REPOSITORY)
        if self.node.try_get_context(UPGRADING):
            self._keep_keys_of_0_1()
        self._share(configuration)
        self._warn()

    def _keep_keys_of_0_1(self) -> None:
        """CloudFormation takes no export away that a stack imports: they go with the deployment after the first."""
        for construct_id, description in (("OperationsKey", "logs, alarms and dead letters"), ("LabelsKey", "labels")):
            key = EncryptionKey(self, construct_id, description=f"Lockgate: {description}", services=SERVICES)
            key.allow_log_groups()
            self.export_value(key.key_arn)

    def _warn(self) -> None:
        """Of what the configuration leaves out."""
        if not self._tools.anchored:
            Annotations.of(self).add_warning_v2(
                "lockgate:anchor", "the ledger has no anchor: who may rewrite it can cut its chains unseen"
            )
        if not self._tools.attestation:
            Annotations.of(self).add_warning_v2(
                "lockgate:attestation", "nobody vouches for images: a gate cannot know where one was built"
            )

    def _signing_key(self) -> SigningKey:
        return SigningKey(
            self,
            "SigningKey",
            description="Lockgate: vouches for images",
            signer_arn=self._role(names.ATTESTATION_ROLE),
        )

    def _evidence(self) -> PrivateBucket:
        """What a gate decides on: only the evaluation writes it."""
        bucket = self._bucket("Evidence", self.artifacts_key)
        bucket.deny_unless_role("OnlyEvaluationPuts", ["s3:PutObject"], [self._role(names.EVALUATION_ROLE)])
        return bucket

    def _labels(self) -> PrivateBucket:
        """Only the evaluation reads labels, not even an administrator does; none of our own roles publishes them."""
        bucket = self._bucket("Labels", self.artifacts_key)
        self.artifacts_key.deny_reading(
            "OnlyEvaluationReadsLabels", bucket.known_arn, unless=self._role(names.EVALUATION_ROLE)
        )
        bucket.deny_unless_role(
            "OnlyEvaluationReads", ["s3:GetObject", "s3:GetObjectVersion"], [self._role(names.EVALUATION_ROLE)]
        )
        bucket.deny(
            "OnlyOperatorsPublish", ["s3:PutObject"], {"ArnLike": {"aws:PrincipalArn": self._role("lockgate-*")}}
        )
        return bucket

    def _share(self, configuration: Configuration) -> None:
        """Let each environment's roles, named before they exist, copy images and model data."""
        for environment in configuration.environments:
            account = environment.account
            deploy = names.role_arn(account, names.deploy_role(environment.name))
            self.models.allow_read_from(account, deploy, objects="*/training/*")
            self.evidence.allow_read_from(account, deploy, objects="*/replay.json")
            self.ledger.allow_read_from(account, deploy, objects="*.json")
            self.artifacts_key.allow_other_account(account, deploy)
            self.records_key.allow_other_account(account, deploy)
            self.models_repository.allow_copy_to(account, deploy)

    def _bucket(self, construct_id: str, key: EncryptionKey) -> PrivateBucket:
        return PrivateBucket(
            self,
            construct_id,
            bucket_name=self._name(construct_id.lower()),
            key=key,
            access_logs=self.access_logs,
        )

    def _repository(self, construct_id: str, name: str) -> ImageRepository:
        return ImageRepository(self, construct_id, repository_name=name, key=self.artifacts_key)

    def _name(self, purpose: str) -> str:
        return names.bucket(purpose, self._tools.account, self._tools.region)

    def _role(self, name: str) -> str:
        return names.role_arn(self._tools.account, name)
