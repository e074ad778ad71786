"""The synth itself: nothing unanswered by cdk-nag, the same stages as the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_cdk_nag_finds_nothing_that_is_not_answered(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    app = new_app(project, tmp_path / "out")
    from cdk_nag import AwsSolutionsChecks

    report = AwsSolutionsChecks().validate_scope(app)
    assert [violation.rule_name for violation in report.violations or []] == []


def test_cdk_nag_would_find_a_bucket_without_a_thought(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    app = new_app(project, tmp_path / "out")
    from aws_cdk import aws_s3
    from cdk_nag import AwsSolutionsChecks

    aws_s3.Bucket(app.node.find_child("dev").node.find_child("edge"), "Thoughtless")
    report = AwsSolutionsChecks().validate_scope(app)
    assert "AwsSolutions-S1" in {violation.rule_name for violation in report.violations}


def test_a_stage_for_tools_one_for_the_anchor_and_one_for_each_environment(synthesized: Any) -> None:
    assert {name.split("-")[1] for name in synthesized.stacks} == {"tools", "anchor", "dev", "staging", "prod"}


def test_environments_come_from_the_configuration(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    environments = project / "environments"
    (environments / "staging.toml").unlink()
    text = (environments / "tools.toml").read_text().replace('["dev", "staging", "prod"]', '["dev", "prod"]')
    (environments / "tools.toml").write_text(text)
    app = new_app(project, tmp_path / "out")
    assert [child.node.id for child in app.node.children] == ["tools", "anchor", "dev", "prod"]
