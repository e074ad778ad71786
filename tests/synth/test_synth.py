"""The synth itself: the same bytes each time, nothing unanswered by cdk-nag, the same stages as the configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]


def templates(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*.json"))}


def test_two_synths_of_the_project_are_equal_byte_for_byte_without_network_or_credentials(tmp_path: Path) -> None:
    """Two processes, since hashing and token counters start anew in each; no AWS variable, no home, no proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "HOME"}
    for name in ("first", "second"):
        home = tmp_path / f"home-{name}"
        home.mkdir()
        closed = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
        variables = {**kept, **closed, "CDK_OUTDIR": str(tmp_path / name), "HOME": str(home)}
        subprocess.run([sys.executable, "app.py"], cwd=PROJECT, env=variables, check=True)
    assert templates(tmp_path / "first") == templates(tmp_path / "second")
    assert len(templates(tmp_path / "first")) > 10
    manifests = [json.loads(path.read_bytes()) for path in (tmp_path / "first").rglob("manifest.json")]
    assert [manifest["missing"] for manifest in manifests if "missing" in manifest] == [], "synth asks an account"


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


def test_a_stage_for_tools_and_one_for_each_environment(synthesized: Any) -> None:
    assert {name.split("-")[1] for name in synthesized.stacks} == {"tools", "dev", "staging", "prod"}


def test_environments_come_from_the_configuration(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    environments = project / "environments"
    (environments / "staging.toml").unlink()
    text = (environments / "tools.toml").read_text().replace('["dev", "staging", "prod"]', '["dev", "prod"]')
    (environments / "tools.toml").write_text(text)
    app = new_app(project, tmp_path / "out")
    assert [child.node.id for child in app.node.children] == ["tools", "dev", "prod"]
