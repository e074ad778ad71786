"""A rule none of whose events is lost in silence."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from lockgate_constructs.acknowledgement import acknowledge

RETRIES = 24
MAX_AGE = Duration.hours(6)


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

    def calls(self, function: lambda_.IFunction, event: Mapping[str, str] | None = None) -> None:
        """Invoke `function` with `event`; by default with what happened."""
        self.add_target(
            targets.LambdaFunction(
                function,
                event=events.RuleTargetInput.from_object(dict(event)) if event else None,
                dead_letter_queue=self._dead_letters,
                retry_attempts=RETRIES,
                max_event_age=MAX_AGE,
            )
        )

    def tells(self, topic: sns.ITopic) -> None:
        """`topic` has to let this account's rules publish. CDK's own grant would let any account's, so it gets none."""
        told = sns.Topic.from_topic_arn(self, "Told", topic.topic_arn)
        acknowledge(
            self,
            "Rule and topic are of the same stage, so of the same account and region.",
            "Annotation::@aws-cdk/aws-events:ruleUnresolvedEnvironment",
        )
        self.add_target(
            targets.SnsTopic(told, dead_letter_queue=self._dead_letters, retry_attempts=RETRIES, max_event_age=MAX_AGE)
        )
