"""The bucket whose objects can be written once and then neither changed nor removed."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Annotations, Duration
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
    """Only `writers` put, only where nothing is yet (If-None-Match), and nobody deletes; Object Lock for `locked`.

    lock_mode: GOVERNANCE, which the bucket's policy lets nobody bypass; or COMPLIANCE, which not even AWS lifts: until
    the last lock has run out neither the bucket nor its account can be removed. Synth warns of it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket_name: str,
        key: kms.IKey | None,
        access_logs: s3.IBucket,
        locked: Duration,
        lock_mode: str,
        writers: Sequence[str],
    ) -> None:
        of = s3.ObjectLockRetention
        super().__init__(
            scope,
            construct_id,
            bucket_name=bucket_name,
            key=key,
            access_logs=access_logs,
            object_lock=of.compliance(locked) if lock_mode == "COMPLIANCE" else of.governance(locked),
        )
        if lock_mode == "COMPLIANCE":
            Annotations.of(self).add_warning_v2(
                "lockgate:compliance",
                f"objects of {bucket_name} are locked in COMPLIANCE mode for {locked.to_days()} days: nobody, AWS "
                "included, can remove them earlier, and until then neither the bucket nor its stack can be destroyed",
            )
        self.write_once()
        self.deny("NothingIsUndone", UNDOING_ACTIONS)
        self.deny_unless_role("OnlyWritersPut", ["s3:PutObject"], writers)
