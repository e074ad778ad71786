"""The bucket whose objects can be written once and then neither changed nor removed."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from lockgate_constructs.private_bucket import PrivateBucket

UNDOING_ACTIONS = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
)


class LedgerBucket(PrivateBucket):
    """Only `writers` put, only where nothing is yet (If-None-Match), and nobody deletes; Object Lock for `locked`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket_name: str,
        key: kms.IKey,
        access_logs: s3.IBucket,
        locked: Duration,
        writers: Sequence[str],
    ) -> None:
        super().__init__(
            scope, construct_id, bucket_name=bucket_name, key=key, access_logs=access_logs, object_lock=locked
        )
        self.write_once()
        self.deny("NothingIsUndone", UNDOING_ACTIONS)
        self.deny_unless_role("OnlyWritersPut", ["s3:PutObject"], writers)
