"""A grave action is grave however it is written."""

from __future__ import annotations

import pytest

from lockgate.templates.grave_actions import is_grave


@pytest.mark.parametrize(
    "action",
    [
        "kms:PutKeyPolicy",
        "KMS:putkeypolicy",
        "s3:PutBucketLogging",
        "states:SendTaskSuccess",
        "iam:PassRole",
        "*",
        "s3:*",
    ],
)
def test_an_action_by_which_one_gains_rights_or_passes_a_gate_is_grave(action: str) -> None:
    assert is_grave(action)


@pytest.mark.parametrize("action", ["s3:GetObject", "ecs:UpdateService", "states:StartExecution", "ecr:BatchGetImage"])
def test_an_action_of_the_daily_work_is_not(action: str) -> None:
    assert not is_grave(action)
