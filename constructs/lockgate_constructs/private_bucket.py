"""A bucket nobody reaches by accident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct


class PrivateBucket(s3.Bucket):
    """Encrypted, versioned, TLS only, no public access, access logged; kept when its stack goes.

    key: None where the content is no secret: S3's own.
    object_lock: how long and in which mode each object version is locked. Default: not at all.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket_name: str,
        key: kms.IKey | None,
        access_logs: s3.IBucket,
        object_lock: s3.ObjectLockRetention | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            bucket_name=bucket_name,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            bucket_key_enabled=True if key else None,
            versioned=True,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=f"{construct_id.lower()}/",
            object_lock_default_retention=object_lock,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._name = bucket_name

    @property
    def known_arn(self) -> str:
        """The ARN as text, known when the app is synthesized: for policies of other stacks."""
        return f"arn:{Stack.of(self).partition}:s3:::{self._name}"

    def objects(self, pattern: str) -> str:
        """`known_arn` of the objects whose keys match."""
        return f"{self.known_arn}/{pattern}"

    def deny(self, sid: str, actions: Sequence[str], conditions: Mapping[str, Any] | None = None) -> None:
        """Refuse actions to everyone, administrators too, where the conditions hold."""
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=list(actions),
                resources=[self.bucket_arn, self.arn_for_objects("*")],
                conditions=conditions,
            )
        )

    def write_once(self) -> None:
        """Refuse a put that does not say If-None-Match: what is there stays as it is."""
        self.deny("OnlyWhereNothingIsYet", ["s3:PutObject"], {"Null": {"s3:if-none-match": "true"}})

    def deny_unless_role(self, sid: str, actions: Sequence[str], role_arns: Sequence[str]) -> None:
        """Refuse actions to everyone but these roles, which need not exist yet."""
        self.deny(sid, actions, {"ArnNotEquals": {"aws:PrincipalArn": list(role_arns)}})

    def allow_read_from(self, account: str, role_arn: str, *, objects: str) -> None:
        """Let one role of an account read object versions whose keys match `objects`."""
        self.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(account)],
                actions=["s3:GetObject", "s3:GetObjectVersion"],
                resources=[self.arn_for_objects(objects)],
                conditions={"ArnEquals": {"aws:PrincipalArn": role_arn}},
            )
        )

    def tells_events(self) -> None:
        """Put what happens to objects on the account's default bus. CDK's own way would add a function to do so."""
        bucket = self.node.default_child
        assert isinstance(bucket, s3.CfnBucket)  # noqa: S101 - what every s3.Bucket is made of
        path = "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled"
        bucket.add_property_override(path, True)
