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


# What makes Python and Node believe that it is 400 days later.
LATER_PYTHON = "import time; now = time.time; time.time = lambda: now() + 34_560_000\n"
LATER_NODE = """\
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...given) { given.length ? super(...given) : super(Real.now() + 34560000000); }
  static now() { return Real.now() + 34560000000; }
};
"""


def other_place(folder: Path) -> Path:
    """The project's files, readable by their owner only and with other times, in another folder."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = PROJECT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
    return folder


def other_time(folder: Path) -> dict[str, str]:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LATER_PYTHON)
    (folder / "later.js").write_text(LATER_NODE)
    return {"PYTHONPATH": str(folder), "NODE_OPTIONS": f"--require={folder / 'later.js'}", "TZ": "Pacific/Kiritimati"}


def test_two_synths_are_equal_byte_for_byte_without_network_or_credentials(tmp_path: Path) -> None:
    """The second in another folder, 400 days later, in another time zone and locale, with another hash seed.

    Two processes, since CDK's token counters start anew in each; no AWS variable, no home, no proxy that answers.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "LC_")) and name not in ("HOME", "LANG", "PYTHONPATH")
    }
    closed = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    other = other_time(tmp_path / "time")
    other["PYTHONPATH"] += os.pathsep + os.pathsep.join((str(tmp_path / "other"), str(tmp_path / "other/constructs")))
    runs = {
        "first": (PROJECT, {"PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"}),
        "second": (other_place(tmp_path / "other"), {**other, "PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.ISO-8859-9"}),
    }
    for name, (folder, differing) in runs.items():
        home = tmp_path / f"home-{name}"
        home.mkdir()
        variables = {**kept, **closed, **differing, "CDK_OUTDIR": str(tmp_path / name), "HOME": str(home)}
        subprocess.run([sys.executable, "app.py"], cwd=folder, env=variables, check=True)
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
