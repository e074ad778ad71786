"""What `lockgate bootstrap tools --evaluator` says of the image that it built, and what --pin writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli import main
from cli.commands import bootstrap
from cli.context import Context
from lockgate.aws.delivery import Image
from lockgate.configuration.tools import read_tools
from lockgate.errors import LockgateError

ROOT = Path(__file__).parents[3]
BEFORE = read_tools(ROOT / "environments" / "tools.toml").evaluator_image_digest
BUILT = "sha256:" + "b" * 64


class Built:
    """A project whose evaluator's build gives this digest, and whether its provenance was waited for."""

    def __init__(self, root: Path) -> None:
        self.root, self.digest, self.waited = root, BUILT, False
        self.file = root / "environments" / "tools.toml"

    def build(self, *_: Any, **__: Any) -> Image:
        return Image("c" * 40, f"registry/lockgate-evaluator@{self.digest}")

    def wait(self, *_: Any) -> None:
        self.waited = True


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    for folder in ("environments", "model"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    made = Built(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setattr(bootstrap, "open_context", lambda: Context(tmp_path))
    monkeypatch.setattr(bootstrap, "commit_of", lambda *_: "c" * 40)
    monkeypatch.setattr(bootstrap, "build_image", made.build)
    monkeypatch.setattr(bootstrap, "wait_for_provenance", made.wait)
    return made


def test_another_evaluator_than_the_pinned_one_ends_with_3_and_changes_nothing(built: Built) -> None:
    text = built.file.read_text()
    assert main.main(["bootstrap", "tools", "--evaluator"]) == 3
    assert built.file.read_text() == text
    assert built.waited


def test_pin_writes_the_built_digest_and_nothing_else(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    text = built.file.read_text()
    assert main.main(["bootstrap", "tools", "--evaluator", "--pin"]) == 0
    assert built.file.read_text() == text.replace(BEFORE, BUILT)
    assert read_tools(built.file).evaluator_image_digest == BUILT
    assert "review and commit" in capsys.readouterr().out
    assert main.main(["bootstrap", "tools", "--evaluator"]) == 0  # from now on it is the pinned one


def test_pin_needs_nobody_who_vouches_for_images_since_nobody_is_deployed_yet(built: Built) -> None:
    main.main(["bootstrap", "tools", "--evaluator", "--pin"])
    assert not built.waited


def test_pin_leaves_a_file_that_pins_the_built_image_alone(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    built.digest, text = BEFORE, built.file.read_text()
    assert main.main(["bootstrap", "tools", "--evaluator", "--pin", "--json"]) == 0
    assert built.file.read_text() == text
    said = json.loads(capsys.readouterr().out)
    assert said == {"commit": "c" * 40, "image_digest": BEFORE, "pinned": BEFORE}


@pytest.mark.parametrize("text", [f"image_digest = '{BEFORE}'", f'a = "{BEFORE}"\nimage_digest = "{BEFORE}"', ""])
def test_a_file_in_which_the_pin_is_not_found_once_is_left_to_its_author(text: str) -> None:
    with pytest.raises(LockgateError, match=f"expected it once.*Write {BUILT} there"):
        bootstrap.pinned(text, BEFORE, BUILT)
