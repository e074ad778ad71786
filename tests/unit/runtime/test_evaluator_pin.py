from __future__ import annotations

from pathlib import Path

from local.images import builder
from lockgate.configuration.tools import read_tools

ROOT = Path(__file__).parents[3]


def test_the_policy_pins_the_evaluator_of_this_tree() -> None:
    """The digest is the local image builder's; `lockgate bootstrap tools --evaluator` prints that of Docker."""
    built = builder.build((ROOT / "runtime" / "Dockerfile").read_text(), ROOT, {"BASE_IMAGE": "any"})
    pinned = read_tools(ROOT / "environments" / "tools.toml").evaluator_image_digest
    assert pinned == built.digest, f'environments/tools.toml: set image_digest = "{built.digest}" in a reviewed commit'
