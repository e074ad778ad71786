"""Where everything that would fail in silence is said aloud."""

from __future__ import annotations

from typing import NamedTuple

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

SERVICES = ("cloudwatch.amazonaws.com", "events.amazonaws.com")
MISSED_LOOKS = 3  # calls of a clock that may be missing before its function counts as silent


class NoData(NamedTuple):
    """What no data means to an alarm, and why. Each alarm says it, and its description tells whoever is called."""

    calls: bool
    because: str

    def __str__(self) -> str:
        return f"No data is {'an alarm' if self.calls else 'no alarm'}: {self.because}."


# Of what only happens sometimes: nothing is counted where nothing happens.
NEVER_CALLED = NoData(False, "what is not called cannot fail, and what a clock must call has an alarm on its silence")
NEVER_RUN = NoData(False, "it is counted where something ran and ended so")
EMPTY_QUEUE = NoData(False, "a queue that had no message for hours sends no number")
NO_REQUESTS = NoData(False, "a target group without requests or targets sends no number, and one of two has none")
NO_PREDICTIONS = NoData(
    False, "a release that nobody asks predicts nothing; what keeps tasks from answering is NobodyAnswers"
)
# Of what must come.
NOBODY_LOOKED = NoData(True, "each look sends a number, also 0, so nobody looked")
CLOCK_STOPPED = NoData(True, "Lambda counts each call and sends nothing without one, so nothing called it")


class FailureTopic(sns.Topic):
    """An encrypted topic for alarms and failure events of its own account; people subscribe to it."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey) -> None:
        super().__init__(scope, construct_id, master_key=key, enforce_ssl=True)
        self.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service) for service in SERVICES],
                actions=["sns:Publish"],
                resources=[self.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )


def alarm(
    scope: Construct,
    construct_id: str,
    *,
    metric: cloudwatch.IMetric,
    description: str,
    topic: sns.ITopic,
    silence: NoData,
    periods: int = 1,
    threshold: float = 1,
    below: bool = False,
) -> cloudwatch.Alarm:
    """Say on `topic` when a metric, such as a count of failures, reaches `threshold` for `periods` in a row.

    silence: what it means that no number comes.
    below: say it of a number below the threshold instead.
    """
    made = cloudwatch.Alarm(
        scope,
        construct_id,
        metric=metric,
        alarm_description=f"{description} {silence}",
        threshold=threshold,
        evaluation_periods=periods,
        comparison_operator=(
            cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
            if below
            else cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
        treat_missing_data=(
            cloudwatch.TreatMissingData.BREACHING if silence.calls else cloudwatch.TreatMissingData.NOT_BREACHING
        ),
    )
    made.add_alarm_action(actions.SnsAction(topic))
    return made


def silence_alarm(
    scope: Construct, construct_id: str, *, function: lambda_.IFunction, every: Duration, what: str, topic: sns.ITopic
) -> cloudwatch.Alarm:
    """Say on `topic` when a function that a clock calls `every` so long was not called several times in a row.

    A call that Lambda throttles or cannot make is not counted either. CloudWatch slides the period, so that it always
    holds more than one call.
    """
    return alarm(
        scope,
        construct_id,
        metric=function.metric_invocations(period=Duration.minutes(MISSED_LOOKS * every.to_minutes())),
        description=what,
        topic=topic,
        silence=CLOCK_STOPPED,
        below=True,
    )
