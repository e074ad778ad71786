"""What `make bench-decision` measures is a whole decision that applied the policy."""

from __future__ import annotations

import pytest

from bench import decision
from lockgate.configuration.project import read_configuration


def test_the_measured_decision_is_recorded_after_the_others_and_applied_every_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decision, "RECORDS", 5)
    answers, environment = decision.Answers(), read_configuration(decision.ROOT).environments[-1]
    chain = decision.history(answers, environment)
    _, record = decision.decide(answers, environment, chain)
    body = record.entry.body
    assert record.sequence == 6
    assert (body.outcome, body.alpha is not None, body.champion and body.champion.version) == ("passed", True, 1)
    assert [reason.rule for reason in body.reasons] == [rule.name for rule in environment.policy.rules]
