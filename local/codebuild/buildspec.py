"""Read a buildspec (version 0.2) into phases of commands; what cannot be performed here is an error or is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]

PHASES = ("install", "pre_build", "build", "post_build")
_TOP = {"version", "env", "phases", "artifacts", "cache", "reports", "run-as", "batch"}
_ENV = {"shell", "variables", "exported-variables"}
_PHASE = {"commands", "finally", "runtime-versions"}


class BuildspecError(Exception):
    """The buildspec is not valid, or asks for what is not supported here; the message names the key."""


@dataclass(frozen=True)
class Buildspec:
    """commands: phase -> commands in order; finally_: phase -> commands that run whatever happened before."""

    shell: str
    variables: Mapping[str, str]
    exported: tuple[str, ...]
    commands: Mapping[str, tuple[str, ...]]
    finally_: Mapping[str, tuple[str, ...]]
    not_performed: tuple[str, ...]


def parse(text: str) -> Buildspec:
    """Raises BuildspecError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(f"not YAML: {error}") from error
    if not isinstance(document, dict):
        raise BuildspecError("expected a mapping with version and phases")
    if str(document.get("version")) != "0.2":
        raise BuildspecError(f"version {document.get('version')}: expected 0.2")
    _known(document, _TOP, "")
    env, phases = document.get("env") or {}, document.get("phases") or {}
    _known(env, _ENV, "env.")
    _known(phases, set(PHASES), "phases.")
    for name, phase in phases.items():
        _known(phase, _PHASE, f"phases.{name}.")
    shell = env.get("shell", "sh")
    if shell not in ("sh", "bash", "/bin/sh"):
        raise BuildspecError(f"env.shell {shell}: expected sh or bash")
    return Buildspec(
        shell="bash" if shell == "bash" else "sh",
        variables={name: str(value) for name, value in (env.get("variables") or {}).items()},
        exported=tuple(env.get("exported-variables") or ()),
        commands={name: _commands(phases, name, "commands") for name in PHASES},
        finally_={name: _commands(phases, name, "finally") for name in PHASES},
        not_performed=(
            *(
                f"{key} of a buildspec"
                for key in ("artifacts", "cache", "reports", "run-as", "batch")
                if key in document
            ),
            *("runtime-versions of a buildspec" for phase in phases.values() if "runtime-versions" in phase),
        ),
    )


def _known(found: Mapping[str, Any], expected: set[str], where: str) -> None:
    unknown = sorted(set(found) - expected)
    if unknown:
        raise BuildspecError(f"{where}{unknown[0]} is not supported here: expected {', '.join(sorted(expected))}")


def _commands(phases: Mapping[str, Any], name: str, key: str) -> tuple[str, ...]:
    commands = (phases.get(name) or {}).get(key) or []
    if not isinstance(commands, list) or not all(isinstance(command, str) for command in commands):
        raise BuildspecError(f"phases.{name}.{key}: expected a list of strings")
    return tuple(commands)
