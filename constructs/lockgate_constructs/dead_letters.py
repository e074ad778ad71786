"""Where an event waits that could not be handled."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.failure_topic import EMPTY_QUEUE, alarm


class DeadLetters(sqs.Queue):
    """One encrypted queue for all rules and functions of an account's stage; it keeps for two weeks.

    A message says from which rule or function it is. Rules of this account may send, so that other stacks' need no
    mention here. It is announced on `failures` as soon as it is not empty.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey, failures: sns.ITopic) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        self.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.queue_arn],
                conditions={
                    "ArnLike": {
                        "aws:SourceArn": Stack.of(self).format_arn(service="events", resource="rule", resource_name="*")
                    }
                },
            )
        )
        acknowledge(self, "It is the dead-letter queue of others.", "AwsSolutions-SQS3")
        alarm(
            self,
            "NotEmpty",
            metric=self.metric_approximate_number_of_messages_visible(),
            description="An event could not be handled and waits in the dead-letter queue: its attributes say of what.",
            topic=failures,
            silence=EMPTY_QUEUE,
        )
