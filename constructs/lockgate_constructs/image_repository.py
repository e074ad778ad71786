"""Images by commit, each tag written once."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
READ_ACTIONS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH_ACTIONS = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")


class ImageRepository(ecr.Repository):
    """Immutable tags, scanned on push. No lifecycle rule: a rule cannot know what is live."""

    def __init__(self, scope: Construct, construct_id: str, *, repository_name: str, key: kms.IKey) -> None:
        super().__init__(
            scope,
            construct_id,
            repository_name=repository_name,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=key,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def allow_copy_to(self, account: str, role_arn: str) -> None:
        """Let one role of an account read images, to copy them."""
        self.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(account)],
                actions=list(READ_ACTIONS),
                conditions={"ArnEquals": {"aws:PrincipalArn": role_arn}},
            )
        )
