"""What is said aloud to the people who listen to a topic."""

from __future__ import annotations

from typing import Any

LONGEST_SUBJECT = 100  # characters, by SNS


def publish(sns: Any, topic_arn: str, subject: str, text: str) -> None:
    sns.publish(TopicArn=topic_arn, Subject=subject[:LONGEST_SUBJECT], Message=text)
