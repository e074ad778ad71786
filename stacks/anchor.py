"""Where the ledger's heads are kept: in another account, so that nobody who rewrites the ledger rewrites them."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from lockgate import names
from lockgate.configuration.tools import Tools
from lockgate_constructs.access_logs import AccessLogs
from lockgate_constructs.ledger_bucket import LedgerBucket


class AnchorStack(Stack):
    """A bucket to which one function of the tools account adds heads, and that the tools account reads."""

    def __init__(self, scope: Construct, construct_id: str, *, tools: Tools, stack_name: str) -> None:
        super().__init__(scope, construct_id, stack_name=stack_name, description="Lockgate: heads of the ledger")
        writer = names.role_arn(tools.account, names.ANCHOR_ROLE)
        bucket = LedgerBucket(
            self,
            "Anchor",
            bucket_name=names.anchor_bucket(tools.anchor_account, tools.region),
            key=None,  # heads are digests, no secret; and nobody can make them unreadable by removing a key
            access_logs=AccessLogs(self, "Logs"),
            locked=Duration.days(tools.ledger_retention_days),
            lock_mode=tools.ledger_lock_mode,
            writers=[writer],
        )
        account = iam.AccountPrincipal(tools.account)
        read = {"s3:ListBucket": bucket.bucket_arn, "s3:GetObject": bucket.arn_for_objects("*")}
        for action, resource in read.items():
            bucket.add_to_resource_policy(
                iam.PolicyStatement(principals=[account], actions=[action], resources=[resource])
            )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[account],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects("*")],
                conditions={"ArnEquals": {"aws:PrincipalArn": writer}},
            )
        )
