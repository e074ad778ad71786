"""Where the heads of the ledger's chains are kept, so that nobody who rewrites the ledger rewrites them."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events

from lockgate import names
from lockgate_constructs.failure_topic import silence_alarm
from lockgate_constructs.watched_rule import WatchedRule

from .factory import KEYS, LOOK_MINUTES, FunctionFactory


def anchor_heads(factory: FunctionFactory) -> None:
    """The head of every chain goes to another account as soon as a record is there, and regularly in any case."""
    tools = factory.configuration.tools
    bucket = names.anchor_bucket(tools.anchor_account, tools.region)
    keeper = factory.function(
        "Anchor",
        "anchor",
        "Keeps the heads of the ledger's chains in another account.",
        {"ANCHOR_BUCKET": bucket},
        ledger="reads",
        function_name=names.ANCHOR_FUNCTION,
        role_name=names.ANCHOR_ROLE,
        dead_letters=factory.artifacts.dead_letters,
    )
    anchor_arn = f"arn:{factory.stack.partition}:s3:::{bucket}"
    keeper.allow("s3:GetObject", "s3:PutObject", on=[f"{anchor_arn}/*"], because=KEYS)
    keeper.allow("s3:ListBucket", on=[anchor_arn])
    keeper.allow(
        "kms:Decrypt",
        on=[f"arn:{factory.stack.partition}:kms:{tools.region}:{tools.anchor_account}:key/*"],
        conditions={"StringEquals": {"kms:ViaService": f"s3.{tools.region}.amazonaws.com"}},
        because="Heads of before they were encrypted by S3 have a key whose id the anchor account made.",
    )
    WatchedRule(
        factory.stack,
        "Recorded",
        description="The ledger has a new record.",
        dead_letters=factory.artifacts.dead_letters,
        pattern=events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={"bucket": {"name": [names.bucket("ledger", tools.account, tools.region)]}},
        ),
    ).calls(keeper.function)
    factory.regularly(keeper)
    silence_alarm(
        factory.stack,
        "AnchorSilent",
        function=keeper.function,
        every=Duration.minutes(LOOK_MINUTES),
        what="The heads of the ledger's chains are kept no more: what is cut off or written anew stays unseen.",
        topic=factory.artifacts.failures,
    )
