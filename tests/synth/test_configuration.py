"""A mistake in the configuration ends the synth with one line: file, key, what was found, what was expected."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.configuration.project import read_configuration
from lockgate.errors import ConfigError

PROJECT = Path(__file__).parents[2]


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new))

    return spoil


def removed(file: str) -> Callable[[Path], None]:
    return lambda root: (root / file).unlink()


MISTAKES = {
    "an account of 11 digits": (
        replaced("environments/dev.toml", "222222222222", "22222222222"),
        ["environments/dev.toml: account: found '22222222222'", "expected 12 digits"],
    ),
    "a missing key": (
        replaced("environments/prod.toml", "approvals = 1", ""),
        ["environments/prod.toml: approvals: found nothing"],
    ),
    "an unknown key": (
        replaced("environments/dev.toml", "tasks = 1", "tasks = 1\ntaks = 2"),
        ["environments/dev.toml: service.taks: found 2", "known keys"],
    ),
    "malformed TOML": (
        replaced("environments/staging.toml", "approvals = 0", "approvals = "),
        ["environments/staging.toml: file: found", "expected valid TOML"],
    ),
    "a model without train.py": (
        removed("model/alpha/train.py"),
        ["model/alpha: train.py: found no such file", "expected a module train.py"],
    ),
    "a model without model.toml": (
        removed("model/alpha/model.toml"),
        ["model/alpha/model.toml: file: found no such file"],
    ),
    "an unknown placeholder": (
        replaced("model/pipeline.json", "{{Model}}", "{{Modle}}"),
        ["model/pipeline.json: {{Modle}}: found 'an unknown placeholder'", "expected one of"],
    ),
    "no pipeline definition": (
        removed("model/pipeline.json"),
        ["model/pipeline.json: file: found no such file"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_the_synth_with_one_line_and_status_1(project: Path, mistake: str) -> None:
    spoil, expected = MISTAKES[mistake]
    spoil(project)
    ended = subprocess.run(
        [sys.executable, "app.py"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(PROJECT), str(PROJECT / "constructs")))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.splitlines()
    for part in expected:
        assert part in line


SHARED = {
    "an edge in another account": ('edge = "prod"\nhost = "dev.example.com"', "", "service.edge"),
    "an edge that nobody is": ('edge = "moon"', "", "service.edge"),
    "no host where the load balancer is shared": ('edge = "staging"', 'host = "staging.example.com"', "service.host"),
    "the host of another": ('edge = "staging"\nhost = "a.example.com"', 'host = "a.example.com"', "service.host"),
}


@pytest.mark.parametrize("what", SHARED)
def test_a_shared_load_balancer_is_of_one_account_and_tells_environments_apart(project: Path, what: str) -> None:
    dev, staging, key = SHARED[what]
    folder = project / "environments"
    for name, settings in (("dev", dev), ("staging", staging)):
        text = (folder / f"{name}.toml").read_text().replace("[service]", f"[service]\n{settings}")
        (folder / f"{name}.toml").write_text(text.replace("333333333333", "222222222222"))
    with pytest.raises(ConfigError, match=key):
        read_configuration(project)
