"""`retire`: what is said to the function, and what is left to do."""

from __future__ import annotations

from typing import Any

import pytest

from cli import main
from cli.commands import retire
from lockgate.ledger.calls import Retire


def test_a_model_is_retired_under_its_name_with_the_reason_and_what_is_left_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[Any] = []

    def say(context: object, path: str, call: Retire, *, json: bool) -> int:
        said.append((path, call))
        return 0

    monkeypatch.setattr(retire, "say", say)
    assert main.main(["retire", "employment", "--reason", "replaced"]) == 0
    assert main.main(["retire", "employment", "--reason", "replaced", "--cut-off", "--json"]) == 0
    assert said == [
        ("retirement", Retire(model="employment", reason="replaced", cut_off=cut_off)) for cut_off in (False, True)
    ]
    shown = capsys.readouterr().out
    assert shown.count("What is left to do") == 1, "and nothing beside JSON"


def test_stacks_that_serve_go_before_the_folder_since_others_export_to_them() -> None:
    steps = retire.steps("prices", ("dev", "prod"))
    assert [step.partition("  #")[0] for step in steps] == [
        "aws cloudformation delete-stack --stack-name lockgate-dev-release-prices",
        "aws cloudformation delete-stack --stack-name lockgate-prod-release-prices",
        "git rm -r model/prices && rm -rf model/prices",
        "cdk deploy 'tools/*' 'dev/*' 'prod/*'",
    ]
