"""What `make bench-decision` measures is a whole decision that applied the policy."""

from __future__ import annotations

import pytest

from bench import decision
from lockgate.configuration.project import read_configuration


def test_the_measured_decision_is_recorded_after_the_others_and_applied_every_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decision, "RECORDS", 5)
    answers, configuration = decision.Answers(), read_configuration(decision.ROOT)
    environment = configuration.environments[-1]
    policy = configuration.policy(environment, decision.MODEL)
    chain = decision.history(answers, environment, policy)
    _, record = decision.decide(answers, environment, policy, chain)
    body = record.entry.body
    assert record.sequence == 6
    assert (body.outcome, body.alpha is not None, body.champion and body.champion.version) == ("passed", True, 1)
    assert [reason.rule for reason in body.reasons] == [rule.name for rule in policy.rules]
