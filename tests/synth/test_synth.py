"""The synth itself: the same stages as the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


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
