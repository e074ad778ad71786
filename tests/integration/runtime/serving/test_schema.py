"""Schemathesis against the OpenAPI document: what it allows is answered as it says, and what it forbids is refused."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

EXAMPLES = 25  # an operation and mode
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


def test_generated_requests_are_answered_as_the_document_says(served: Any) -> None:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{served.port}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = set()
    for operation in operations:
        for mode in MODES if operation.body else MODES[:1]:
            strategy = operation.as_strategy(generation_mode=mode)
            bounded(given(case=strategy)(ask))()
            asked.add((operation.path, mode.value))
    assert ("/invocations", "positive") in asked
    assert ("/invocations", "negative") in asked
    assert served.alive()


def ask(case: Any) -> None:
    answer = case.call()
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    # Columns of equal length, a tensor's shape and the lines of CSV are beyond JSON Schema.
    rows = isinstance(case.body, dict) and "instances" in case.body
    case.validate_response(answer, excluded_checks=[] if rows else [positive_data_acceptance])


bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
