"""A key that what serves one purpose is encrypted with."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

READ_ACTIONS = ("kms:Decrypt",)
SERVICE_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey*")


class EncryptionKey(kms.Key):
    """A rotated key. Identities of its own account need a grant in their policy; others, a statement here.

    services: service principals that encrypt with it on behalf of this account's resources.
    """

    def __init__(self, scope: Construct, construct_id: str, *, description: str, services: Sequence[str] = ()) -> None:
        super().__init__(
            scope,
            construct_id,
            description=description,
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        stack = Stack.of(self)
        if services:
            self.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(service) for service in services],
                    actions=list(SERVICE_ACTIONS),
                    resources=["*"],
                    conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
                )
            )
        self._stack = stack

    def allow_log_groups(self) -> None:
        """Let CloudWatch Logs encrypt the log groups of this account and region."""
        groups = f"arn:{self._stack.partition}:logs:{self._stack.region}:{self._stack.account}:log-group:*"
        self.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{self._stack.region}.amazonaws.com")],
                actions=[*SERVICE_ACTIONS, "kms:Encrypt", "kms:ReEncrypt*", "kms:DescribeKey"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            )
        )

    def deny_reading(self, sid: str, bucket_arn: str, *, unless: str) -> None:
        """Refuse to decrypt objects of a bucket for everybody but one role, which need not exist yet.

        S3 tells the key which object, or with a bucket key which bucket, it decrypts for.
        """
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=list(READ_ACTIONS),
                resources=["*"],
                conditions={
                    "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket_arn, f"{bucket_arn}/*"]},
                    "ArnNotEquals": {"aws:PrincipalArn": unless},
                },
            )
        )

    def allow_other_account(self, account: str, role_arn: str) -> None:
        """Let one role of an account decrypt; the account may get to know the role later than we do."""
        self.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(account)],
                actions=list(READ_ACTIONS),
                resources=["*"],
                conditions={"ArnEquals": {"aws:PrincipalArn": role_arn}},
            )
        )
