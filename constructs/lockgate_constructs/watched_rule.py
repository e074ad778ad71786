"""A rule none of whose events is lost in silence."""

from __future__ import annotations

from collections.abc import Mapping

import jsii
from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.interfaces.aws_events import IRuleRef
from constructs import Construct

RETRIES = 24
MAX_AGE = Duration.hours(6)


@jsii.implements(events.IRuleTarget)
class _Target:
    """What a rule calls, and where the event goes that it could not be given.

    CDK's own targets write each rule into the policies of topic and queue; these let the account's rules publish
    (FailureTopic, DeadLetters), so that stacks may share them.
    """

    def __init__(self, arn: str, dead_letters: sqs.IQueue, event: events.RuleTargetInput | None = None) -> None:
        self._arn, self._dead_letters, self._event = arn, dead_letters, event

    def bind(self, rule: IRuleRef, id: str | None = None) -> events.RuleTargetConfig:
        return events.RuleTargetConfig(
            arn=self._arn,
            input=self._event,
            dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self._dead_letters.queue_arn),
            retry_policy=events.CfnRule.RetryPolicyProperty(
                maximum_retry_attempts=RETRIES, maximum_event_age_in_seconds=MAX_AGE.to_seconds()
            ),
        )


class WatchedRule(events.Rule):
    """Every target is retried for up to six hours; then the event goes to `dead_letters`.

    Either `pattern` or `schedule`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        description: str,
        dead_letters: sqs.IQueue,
        pattern: events.EventPattern | None = None,
        schedule: events.Schedule | None = None,
    ) -> None:
        super().__init__(scope, construct_id, description=description, event_pattern=pattern, schedule=schedule)
        self._dead_letters = dead_letters

    def calls(self, function: lambda_.Function, event: Mapping[str, str] | None = None) -> None:
        """Invoke `function` with `event`; by default with what happened."""
        told = events.RuleTargetInput.from_object(dict(event)) if event else None
        self.add_target(_Target(function.function_arn, self._dead_letters, told))
        permission = f"Call{function.node.addr}"
        if not self.node.try_find_child(permission):
            lambda_.CfnPermission(
                self,
                permission,
                action="lambda:InvokeFunction",
                function_name=function.function_arn,
                principal="events.amazonaws.com",
                source_arn=self.rule_arn,
            )

    def tells(self, topic: sns.ITopic) -> None:
        """`topic` has to let this account's rules publish, as FailureTopic does."""
        self.add_target(_Target(topic.topic_arn, self._dead_letters))
